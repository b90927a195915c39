"""What the manifest tells of a promoted bundle whose stages go on: its clicks and labels count."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cascade.eventlog.windows import window_entry
from training.events.rules import Window
from training.from_log.told import inherited, windows

BASE = SimpleNamespace(
    since_us=5, until_us=90, bundle=SimpleNamespace(manifest=SimpleNamespace(data={"digest": "labels"}))
)
SOURCE: Any = SimpleNamespace(
    window=Window(since_us=20, watermark_us=60), pages=SimpleNamespace(time_us=np.array([30, 40])), base=BASE
)


@pytest.mark.parametrize(
    ("how", "window", "digests"),
    [("learned", (30, 60), []), ("continued", (5, 90), ["labels"]), ("carried", (5, 90), ["labels"])],
)
def test_what_a_kept_stage_learned_from(how: str, window: tuple[int, int], digests: list[str]) -> None:
    """Where a stage is kept, the window holds the promoted bundle's, its later end too; else its own."""
    stages: Any = (SimpleNamespace(how="learned"), SimpleNamespace(how=how))
    assert windows(SOURCE, stages) == window_entry(*window)
    assert inherited(SOURCE, stages) == digests
