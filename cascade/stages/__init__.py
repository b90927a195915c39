"""The stage kinds that come with Sluice, one a file."""
