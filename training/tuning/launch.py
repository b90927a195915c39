"""How many processes were launched together (by `accelerate launch` or torchrun), and which this one is."""

import os


def processes() -> int:
    """How many there are."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def leads() -> bool:
    """Whether this is the one that writes files and talks."""
    return os.environ.get("RANK", "0") == "0"
