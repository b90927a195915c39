"""Which collections' labels a bundle learned from, as its manifest tells it."""

from collections.abc import Mapping
from typing import Any

INHERITED = "inherited_digests"
"""Key of `Manifest.data`: digests of the collections that stages kept from another bundle learned from."""


def digests_of(data: Mapping[str, Any]) -> frozenset[str]:
    """Digests of its own collection, of those that a borrowed base learned from, and of inherited ones."""
    sources = (each.get("digest", "") for each in data.get("sources", ()))
    return frozenset((data.get("digest", ""), *sources, *data.get(INHERITED, ()))) - {""}
