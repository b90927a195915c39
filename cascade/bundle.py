"""The bundle: what training writes and serving reads, one directory, every byte accounted for.

    manifest.json    schema, cascade, fingerprint, metrics, data window, tools, size and SHA-256 of every file
    cascade.toml     the cascade as declared
    features/        what features learned, <position>.npz
    stages/<name>/   the files that training wrote for a stage
    golden.json      golden queries with what every feature and every stage made of them

The manifest is written last, so that a directory without one is no bundle. A bundle's version is the first
16 hexadecimal digits of the SHA-256 of its manifest, and so of all that is in it.
"""

from cascade.draft import Draft, write_bundle
from cascade.load import load_ranker
from cascade.manifest import SCHEMA, Bundle, FileEntry, Manifest, open_bundle, read_manifest

__all__ = [
    "SCHEMA",
    "Bundle",
    "Draft",
    "FileEntry",
    "Manifest",
    "load_ranker",
    "open_bundle",
    "read_manifest",
    "write_bundle",
]
