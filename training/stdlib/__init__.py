"""The demo collection "Python standard library": see README.md in this folder."""

from __future__ import annotations

from training.stdlib.corpus import Document, documents, write

__all__ = ["Document", "documents", "write"]
