"""The ranker that comes with Sluice: it has seen no label of the collection that it ranks.

BM25 and the static encoder's cosine, each on its own scale within the candidate list, are summed; the
embedded cross-encoder reads the best of them; its logit, BM25 and cosine together give the last word.
"""

import json
from collections.abc import Sequence

from cascade.build import available
from cascade.config import parse_config
from cascade.pipeline import Step
from cascade.ranker import Ranker
from cascade.stages.cross_encoder import CrossEncoder
from cascade.stages.cross_encoding.embedded import embedded_model
from features.errors import InvalidInput
from training.collection import Collection

NAME = "embedded"
TITLES = ("title", "name", "headline", "subject", "question")
"""Fields by these names are what a document is called, and come first."""
TITLE_WEIGHT = 2.0
KEEP = 50
"""Candidates that the cross-encoder reads."""

CASCADE = """
[[features]]
name = "bm25"
kind = "bm25f"
stem = true
fields = {{ {weights} }}

[[features]]
name = "meaning"
kind = "semantic"
fields = [{fields}]

[[stages]]
name = "first"
kind = "linear"
normalise = "zscore"
weights = {{ bm25 = 1.0, meaning = 0.7 }}
keep = {keep}

[[stages]]
name = "cross_encoder"
kind = "cross_encoder"
fields = [{fields}]
max_tokens = 128
query_tokens = 48

[[stages]]
name = "blend"
kind = "linear"
normalise = "zscore"
weights = {{ bm25 = 0.4, meaning = 0.3, "stage.cross_encoder" = 1.0 }}
"""


def embedded_ranker(collection: Collection) -> Ranker:
    """The ranker over whatever text fields a collection has; corpus statistics are all that it learns.

    Raises:
        InvalidInput: if no field of the collection is text.
    """
    config = parse_config(embedded_cascade(collection.documents.text_fields))
    declared = config.feature_set()
    features = declared.prepare(collection.documents.batch(declared.inputs))
    columns = [available(features.names, config.stages[:at]) for at in range(len(config.stages))]
    model = embedded_model()
    steps = (
        Step(spec, spec.load(model if isinstance(spec, CrossEncoder) else model / spec.name, names))
        for spec, names in zip(config.stages, columns, strict=True)
    )
    return Ranker(NAME, NAME, features, tuple(steps))


def embedded_cascade(fields: Sequence[str]) -> str:
    """The cascade's TOML for the given text fields, those that name a document first.

    Raises:
        InvalidInput: if there is none.
    """
    if not fields:
        raise InvalidInput("no field of the documents is text, so there is nothing to read", path="corpus")
    ordered = sorted(fields, key=lambda name: name.lower() not in TITLES)
    weights = (f"{json.dumps(name)} = {TITLE_WEIGHT if name.lower() in TITLES else 1.0}" for name in ordered)
    return CASCADE.format(
        weights=", ".join(weights), fields=", ".join(json.dumps(name) for name in ordered), keep=KEEP
    )
