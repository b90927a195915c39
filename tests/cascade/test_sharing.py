"""What is the same file is loaded once."""

import gc
import threading
from pathlib import Path
from typing import Any

import numpy as np

from cascade.sharing import Shared
from cascade.stages.lambdamart import BOOSTERS, read_booster
from cascade.states import STATES, pack, unpack


class Thing:
    """Something that can be referred to weakly."""


def test_the_same_content_is_made_once_and_freed_with_its_last_holder() -> None:
    """Equal bytes give the same object; when nobody holds it, it is gone."""
    shared: Shared[Thing] = Shared()
    one, two, other = (shared.of(content, lambda _: Thing()) for content in (b"a", b"a", b"b"))
    assert one is two
    assert one is not other
    assert len(shared) == 2
    del one, two
    gc.collect()
    assert len(shared) == 1


def test_threads_that_make_the_same_get_the_same() -> None:
    """Though both may have made it, all hold one."""
    shared: Shared[Thing] = Shared()
    barrier = threading.Barrier(4)
    found: list[Thing] = []

    def make(_: bytes) -> Thing:
        barrier.wait(30)
        return Thing()

    threads = [threading.Thread(target=lambda: found.append(shared.of(b"a", make))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1


def test_boosters_and_states_are_shared(tmp_path: Path) -> None:
    """Two bundles with the same booster and the same learned state have one of each in memory, another
    not."""
    first, copy, other = (tmp_path / name for name in ("first.txt", "copy.txt", "other.txt"))
    model = trained()
    first.write_text(model)
    copy.write_text(model)
    other.write_text(model.replace("pandas_categorical:null", "pandas_categorical:[]"))
    boosters = [read_booster(path, "s") for path in (first, copy, other)]
    assert boosters[0] is boosters[1]
    assert boosters[0] is not boosters[2]
    rows = np.random.default_rng(0).random((5, 2))
    np.testing.assert_array_equal(boosters[0].predict(rows), boosters[2].predict(rows))
    held = len(STATES)
    (tmp_path / "0.npz").write_bytes(pack({"terms": np.arange(4)}))
    (tmp_path / "1.npz").write_bytes(pack({"terms": np.arange(4)}))
    one, two = unpack(tmp_path / "0.npz"), unpack(tmp_path / "1.npz")
    assert one is two
    assert len(STATES) == held + 1
    assert len(BOOSTERS) >= 2


def trained() -> str:
    """The text of a small booster."""
    import lightgbm

    rng = np.random.default_rng(0)
    rows, labels = rng.random((60, 2)), rng.integers(0, 2, 60)
    options: dict[str, Any] = {"verbose": -1, "num_threads": 1, "min_data_in_leaf": 2}
    made: str = lightgbm.train(options, lightgbm.Dataset(rows, labels), 3).model_to_string()
    return made
