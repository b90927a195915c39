"""The ranker that comes with Sluice: it has seen no label of the collection that it ranks.

BM25 and the static encoder's cosine, each on its own scale within the candidate list, are summed; the
sentence encoder reads the best of them, the cross-encoder the best of those, and each adds its word to what
was known before: cosines and logits as they are, so that a model says little of texts that it can't tell
apart. Alone none of the three is good everywhere; together they are.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from cascade.build import available
from cascade.config import parse_config
from cascade.pipeline import Step
from cascade.ranker import Ranker
from cascade.stage import StageSpec
from cascade.stages.bi_encoder import BiEncoder
from cascade.stages.embedded import embedded_model, embedded_sentences
from features.errors import InvalidInput
from training.collection import Collection

NAME = "embedded"
TITLES = ("title", "name", "headline", "subject", "question")
"""Fields by these names are what a document is called, and come first."""
TITLE_WEIGHT = 2.0
SENTENCES, KEEP = 100, 50
"""Candidates that the sentence encoder and the cross-encoder read."""

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
weights = {{ bm25 = 1.0, meaning = 0.5 }}
keep = {sentences}

[[stages]]
name = "sentences"
kind = "bi_encoder"
fields = [{fields}]
blend = {{ "stage.first" = 0.033 }}
normalise = "none"
keep = {keep}

[[stages]]
name = "cross_encoder"
kind = "cross_encoder"
fields = [{fields}]
max_tokens = 128
query_tokens = 48
blend = {{ "stage.sentences" = 21.0 }}
normalise = "none"
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
    steps = (
        Step(spec, spec.load(files_of(spec), names))
        for spec, names in zip(config.stages, columns, strict=True)
    )
    return Ranker(NAME, NAME, features, tuple(steps))


def files_of(spec: StageSpec) -> Path:
    """Where the files of a stage lie; a linear stage reads none."""
    return embedded_sentences() if isinstance(spec, BiEncoder) else embedded_model()


def embedded_cascade(fields: Sequence[str]) -> str:
    """The cascade's TOML for the given text fields, those that name a document first.

    Raises:
        InvalidInput: if there is none.
    """
    if not fields:
        raise InvalidInput("no field of the documents is text, so there is nothing to read", path="corpus")
    ordered = sorted(fields, key=lambda name: name.lower() not in TITLES)
    shown = ", ".join(json.dumps(name) for name in ordered)
    weights = (f"{json.dumps(name)} = {TITLE_WEIGHT if name.lower() in TITLES else 1.0}" for name in ordered)
    return CASCADE.format(weights=", ".join(weights), fields=shown, keep=KEEP, sentences=SENTENCES)
