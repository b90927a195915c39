"""What operators see of profiles. No tenant, user or item becomes a label."""

from prometheus_client import CollectorRegistry, Counter, Histogram

SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class ProfileMetrics:
    """In the registry of a server."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.reads = Counter(
            "sluice_profile_reads",
            "Requests that wanted profiles, by outcome (ok, failed, skipped: the store is left alone).",
            ["outcome"],
            registry=registry,
        )
        self.read_time = Histogram(
            "sluice_profile_read_seconds",
            "Time to read and join profiles.",
            buckets=SECONDS,
            registry=registry,
        )
        self.events = Counter("sluice_profile_events", "Events learned into profiles.", registry=registry)
        self.failures = Counter(
            "sluice_profile_update_failures",
            "Updates of profiles that failed and are tried again.",
            registry=registry,
        )
