"""A version that is promoted by the command that made it: the first one quietly, others on the record."""

from datetime import UTC, datetime
from pathlib import Path

from cascade.promotion import passed
from cascade.store import DirectoryStore
from cascade.testing import write_tiny_bundle
from cascade.unasked import REFUSAL, promote_unasked

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_only_a_version_that_takes_another_ones_place_is_recorded(tmp_path: Path) -> None:
    """As forced, by the command; the gate has not agreed with it, and the audit log says so too."""
    store = DirectoryStore(tmp_path / "store")
    versions = []
    for score in (1.0, 2.0):
        bundle = write_tiny_bundle(tmp_path / str(score), score)
        versions.append(store.publish("shop", "default", bundle))
    first, second = versions
    assert promote_unasked(store, "shop", "default", first, "sluice train", NOW) == ()
    assert promote_unasked(store, "shop", "default", first, "sluice train", NOW) == ()
    assert store.promotion("shop", "default").records == ()
    (told,) = promote_unasked(store, "shop", "default", second, "sluice publish", NOW)
    assert first in told
    after = store.promotion("shop", "default")
    assert after.version == second
    assert after.history == (first,)
    (record,) = after.records
    assert (record.version, record.against, record.forced) == (second, first, True)
    assert (record.reason, record.refusals) == ("sluice publish --promote", (REFUSAL,))
    assert record.time == "2026-11-20T12:00:00+00:00"
    assert not passed(after, second)
    entry = store.audit("shop")[-1]
    assert (entry.action, entry.forced, entry.reason) == ("promote", True, "sluice publish --promote")
