"""The feature kinds that come with Sluice, one a file."""
