"""What operators see of experiments. Labels are kinds and outcomes: no tenant, no version, no name."""

from prometheus_client import CollectorRegistry, Counter, Histogram

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
SHARES = (-0.5, 0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0)


class ExperimentMetrics:
    """In the registry of a server."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.answers = Counter(
            "sluice_experiment_answers",
            "Answers to requests that take part, by kind and outcome (as_assigned, fell_back).",
            ["kind", "outcome"],
            registry=registry,
        )
        self.begun = Counter(
            "sluice_experiment_loads",
            "Experiments whose arms were loaded, by outcome (ok, failed).",
            ["outcome"],
            registry=registry,
        )
        self.shadows = Counter(
            "sluice_shadows",
            "Shadow rankings by outcome (ran, failed, dropped).",
            ["outcome"],
            registry=registry,
        )
        self.shadow_seconds = Histogram(
            "sluice_shadow_seconds", "Time of a shadow ranking.", buckets=SECONDS, registry=registry
        )
        self.overlap = Histogram(
            "sluice_shadow_overlap",
            "Share of the control's first 10 items that the shadow has there too.",
            buckets=SHARES[1:],
            registry=registry,
        )
        self.tau = Histogram(
            "sluice_shadow_tau",
            "Kendall's tau between control and shadow over the first 10 items of either.",
            buckets=SHARES,
            registry=registry,
        )

    def answered(self, kind: str, fell_back: bool) -> None:
        """One request that takes part has its final answer."""
        self.answers.labels(kind, "fell_back" if fell_back else "as_assigned").inc()

    def shadowed(self, seconds: float, overlap: float, tau: float) -> None:
        """One shadow ranking is made."""
        self.shadow_seconds.observe(seconds)
        self.overlap.observe(overlap)
        self.tau.observe(tau)
