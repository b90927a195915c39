"""Our BM25 against an outside authority: bm25s, the variant `lucene`."""

import json
from gzip import open as open_gzip
from itertools import islice

import bm25s
import numpy as np
import pytest
from numpy.random import default_rng
from numpy.typing import NDArray

from features.batch import Query, single
from features.columns import text
from features.kinds.bm25 import Bm25
from features.text import plain
from features.text.analyzer import Analyzer
from tests.support import require_data


def by_bm25s(
    queries: list[str], bodies: list[str], analyzer: Analyzer, k1: float, b: float
) -> NDArray[np.float32]:
    """bm25s' scores of every body for every query, from the same terms."""
    index = bm25s.BM25(method="lucene", k1=k1, b=b)
    index.index([[str(term) for term in plain.terms(body, analyzer)] for body in bodies], show_progress=False)
    asked = [[str(term) for term in plain.terms(query, analyzer)] for query in queries]
    known = [[term for term in terms if term in index.vocab_dict] for terms in asked]
    return np.stack([index.get_scores(t) if t else np.zeros(len(bodies), np.float32) for t in known])


def by_us(queries: list[str], bodies: list[str], feature: Bm25) -> NDArray[np.float32]:
    """Our scores of every body for every query."""
    ids, columns = [str(i) for i in range(len(bodies))], {"body": text(bodies)}
    state = feature.prepare(single(Query(""), ids, columns))
    return np.stack([feature.compute(single(Query(q), ids, columns), state)[:, 0] for q in queries])


def check(queries: list[str], bodies: list[str], feature: Bm25) -> None:
    """Both are equal to float32 tolerance, and say something."""
    ours = by_us(queries, bodies, feature)
    theirs = by_bm25s(queries, bodies, feature.analyzer, feature.k1, feature.b)
    assert (theirs > 0).mean() > 0.01
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(("k1", "b"), [(1.2, 0.75), (1.5, 0.75), (0.9, 0.4)])
def test_random_documents(k1: float, b: float) -> None:
    """300 random documents and 50 random queries with repeated and unknown words."""
    rng = default_rng(7)
    vocabulary = [f"wörd{i}" for i in range(200)]
    bodies = [" ".join(rng.choice(vocabulary[:180], rng.integers(1, 60))) for _ in range(300)]
    queries = [" ".join(rng.choice(vocabulary, rng.integers(1, 8))) for _ in range(50)]
    queries += ["wörd1 wörd1 wörd2", "unknown", "wörd3 unknown"]
    check(queries, bodies, Bm25(name="f", field="body", k1=k1, b=b))


@pytest.mark.parametrize("analyzer", [Analyzer(), Analyzer(stem=True), Analyzer(stem=True, stop_words=True)])
def test_docstrings(analyzer: Analyzer) -> None:
    """The docstrings of numpy's functions as documents, their first lines as queries."""
    docs = [str(value.__doc__) for _, value in sorted(vars(np).items()) if callable(value) and value.__doc__]
    queries = [doc.strip().splitlines()[-1] for doc in docs[:40]]
    check(
        queries, docs[:400], Bm25(name="f", field="body", stem=analyzer.stem, stop_words=analyzer.stop_words)
    )


def test_cranfield() -> None:
    """400 abstracts and 40 queries of the Cranfield collection."""
    folder = require_data("cranfield")
    with open_gzip(folder / "corpus.jsonl.gz", "rt") as lines:
        bodies = [json.loads(line)["text"] for line in islice(lines, 400)]
    with (folder / "queries.jsonl").open() as lines:
        queries = [json.loads(line)["text"] for line in islice(lines, 40)]
    check(queries, bodies, Bm25(name="f", field="body"))
