"""Profiles in a server: what a request reads of them, and the thread that keeps them up with the log."""
