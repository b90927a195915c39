"""What other programs import: the wire messages (`sluice.v1`) and a thin typed client."""
