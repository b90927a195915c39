"""Makes the weights that ship with Sluice, and the ranker that uses them: see `MODEL_CARD.md`."""
