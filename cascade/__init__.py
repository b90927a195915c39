"""Runs stages over candidates, and owns what training and serving share on disk: the bundle."""
