"""The public surface of `sluice`, the one package that other programs import."""

import sluice


def test_everything_exported_exists_and_is_documented() -> None:
    """Each name in `sluice.__all__` is there, and says in a docstring what it is."""
    missing = [name for name in sluice.__all__ if not (getattr(sluice, name, None) or "").__doc__]
    assert missing == []


def test_exports_are_sorted() -> None:
    """The list is in order, so that a diff shows what changed."""
    assert sluice.__all__ == sorted(sluice.__all__)
