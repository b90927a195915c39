"""`python -m features.warm`: compile every kernel into numba's cache, once after installation.

A server that starts with a cold cache compiles for ten seconds and more before it is ready.
"""

from features.batch import Query, single
from features.columns import text
from features.featureset import FeatureSet
from features.kinds.semantic import Semantic
from features.text.warm import ASCII, BEYOND, warm


def warm_all() -> None:
    """Text kernels, word pieces, the embedded encoder and cosines."""
    warm()
    batch = single(Query(ASCII), ["1", "2"], {"text": text([ASCII, BEYOND])})
    FeatureSet.declare([Semantic(name="meaning", field="text")]).prepare(batch).compute(batch)


if __name__ == "__main__":
    warm_all()
