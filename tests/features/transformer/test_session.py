"""Sessions: what they run with, and several runs of one at once."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from features.errors import NotReady
from features.transformer.packed import Ids, Pair, feed
from features.transformer.session import SessionSettings, cores, create
from tests.support import require


@pytest.fixture(scope="module")
def model() -> bytes:
    """A small packed graph in full precision."""
    require("onnx")
    from training.export.families import INPUTS
    from training.export.families.bert import Bert
    from training.export.linear import Float
    from training.export.testing import made_words, random_checkpoint, wordpiece

    checkpoint = random_checkpoint(wordpiece(made_words(60, np.random.default_rng(0))))
    content: bytes = Bert(checkpoint).write(Float()).model(INPUTS, {"score": ("B",)}).SerializeToString()
    return content


def batch(seed: int) -> dict[str, Ids]:
    """A micro-batch of a width of its own."""
    random = np.random.default_rng(seed)
    lengths = random.integers(3, 16 * (seed % 5 + 1), 7)
    return feed([Pair(random.integers(5, 60, length).astype(np.int32), 2) for length in lengths])


def test_a_session_runs_on_one_thread_unless_told_otherwise(model: bytes) -> None:
    """The effective options are those that the scheduler's workers count on."""
    options = create(model, SessionSettings()).options
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.execution_mode.name == "ORT_SEQUENTIAL"
    assert options.graph_optimization_level.name == "ORT_ENABLE_ALL"
    assert options.enable_cpu_mem_arena is True
    assert options.get_session_config_entry("session.force_spinning_stop") == "1"
    assert options.enable_mem_pattern is False
    assert options.get_session_config_entry("session.use_env_allocators") == "1"
    everything = create(model, SessionSettings(threads=0)).options
    assert everything.intra_op_num_threads == cores()


def test_runs_at_once_give_the_bits_of_runs_in_turn(model: bytes) -> None:
    """Four threads on one session, each with batches of other shapes, do not touch each other's scores."""
    session = create(model, SessionSettings())
    inputs = [batch(seed) for seed in range(24)]
    expected = [session.run(["score"], one)[0] for one in inputs]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda one: session.run(["score"], one)[0], inputs * 4))
    for at, scores in enumerate(found):
        np.testing.assert_array_equal(scores, expected[at % len(inputs)])


def test_what_is_no_model_is_named() -> None:
    """Bytes that onnxruntime cannot read are an error that says which file they are of."""
    with pytest.raises(NotReady, match="cannot be run") as error:
        create(b"nothing", SessionSettings(), "model.onnx")
    assert error.value.path == "model.onnx"
