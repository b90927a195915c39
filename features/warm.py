"""`python -m features.warm`: compile every kernel into numba's cache, once after installation.

A server that starts with a cold cache compiles for ten seconds and more before it is ready.
"""

import numpy as np

from features.batch import Query, single
from features.columns import text
from features.featureset import FeatureSet
from features.kinds.semantic import Semantic
from features.text.warm import ASCII, BEYOND, warm
from features.vectors import dots, to_unit_length


def warm_all() -> None:
    """Text kernels, word pieces, the embedded encoder, and arithmetic on vectors."""
    warm()
    batch = single(Query(ASCII), ["1", "2"], {"text": text([ASCII, BEYOND])})
    FeatureSet.declare([Semantic(name="meaning", field="text")]).prepare(batch).compute(batch)
    rows = np.ones((2, 8), np.float32)
    to_unit_length(rows)
    dots(rows, rows[:1], np.zeros(2, np.int64), np.empty(2, np.float32))


if __name__ == "__main__":
    warm_all()
