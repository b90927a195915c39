"""Length counts terms."""

import numpy as np
import pytest

from features.batch import CandidateBatch, Query, single
from features.columns import text
from features.kinds.length import Length

BODIES = ["one two, three", "", None, "the flies of Zürich"]


@pytest.fixture
def batch() -> CandidateBatch:
    """Texts, one of them empty and one missing."""
    return single(Query("q"), list("abcd"), {"body": text(BODIES)})


@pytest.mark.parametrize(
    ("stop_words", "log1p", "expected"),
    [
        (False, False, [3, 0, np.nan, 4]),
        (True, False, [3, 0, np.nan, 2]),
        (False, True, np.log1p([3, 0, np.nan, 4])),
    ],
)
def test_length_is_the_number_of_terms(
    batch: CandidateBatch, stop_words: bool, log1p: bool, expected: list[float]
) -> None:
    """Terms after the analyzer, or their logarithm; empty is 0 and missing is NaN."""
    made = Length(name="f", field="body", stop_words=stop_words, log1p=log1p).compute(batch, {})
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made, np.array(expected, np.float32)[:, None])
