"""Kernels compile where nothing can be cached, too."""

from typing import Any

from features.text.compiled import compiled


def test_without_a_writable_cache_it_still_compiles() -> None:
    """A function for which numba finds no cache folder is compiled in memory."""
    space: dict[str, Any] = {}
    exec(compile("def double(x):\n    return 2 * x\n", "/nowhere/at/all.py", "exec"), space)
    double = compiled(space["double"])
    assert double(21) == 42
    assert double.signatures
