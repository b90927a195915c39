"""Which profile store a server's settings ask for."""

from collections.abc import Callable
from pathlib import Path

from cascade.profiles.opening import beside, open_profiles
from cascade.profiles.store import ProfileStore
from serving.observe import Metrics
from serving.profiles.lookup import Personal
from serving.profiles.metrics import ProfileMetrics
from serving.profiles.updater import Updater
from serving.settings import Profiles, Settings


def personal_of(settings: Settings, metrics: Metrics) -> Personal:
    """The profiles of a server; nothing is opened before a request wants them."""
    mine, root = settings.profiles, settings.log_root
    measured = ProfileMetrics(metrics.registry)

    def follow(store: ProfileStore) -> Updater:
        assert root is not None  # noqa: S101 (not asked for without one)
        return Updater(root, store, mine.rules, mine.every_ms / 1e3, measured)

    return Personal(opener(mine, root), follow if root else None, mine.rules, measured)


def opener(settings: Profiles, log_root: Path | None) -> Callable[[], ProfileStore] | None:
    """What opens the store; None for none. The embedded one stands beside the log."""
    where = settings.path or (str(beside(log_root)) if log_root else "")
    if settings.kind == "redis":
        where = settings.url
    if settings.kind == "none" or not where:
        return None
    return lambda: open_profiles(where, timeout_s=settings.timeout_ms / 1e3, max_gb=settings.max_gb)
