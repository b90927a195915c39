"""Features turn candidates into numbers. This package imports nothing of Sluice's other packages."""
