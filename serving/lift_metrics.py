"""Lifts on the Prometheus page, computed when somebody looks.

Labels are tenants, rankers, versions and stages of bundles in the store, of at most as many versions as the
monitor keeps; a version that makes room takes its labels with it.
"""

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from cascade.lift.live import Key
from cascade.lift.verdict import Lift
from serving.lift import Monitor

LABELS = ("tenant", "ranker", "version", "stage")

GAUGES: tuple[tuple[str, str, bool, Callable[[Lift], float]], ...] = (
    ("sluice_stage_lift", "Clicks a page that a stage earns.", False, lambda one: one.lift.value),
    ("sluice_stage_lift_lower", "Lower end of its 95 % interval.", False, lambda one: one.lift.low),
    ("sluice_stage_lift_upper", "Upper end of its 95 % interval.", False, lambda one: one.lift.high),
    ("sluice_stage_lift_relative", "The lift over clicks before.", False, lambda one: one.relative.value),
    ("sluice_stage_lift_pages", "Pages that a stage scored.", True, lambda one: one.pages),
    ("sluice_stage_lift_effective", "Pages that they are worth.", True, lambda one: one.effective),
)
"""Name, help, whether it is told of lifts that cannot be told too, and its value."""


class LiftCollector(Collector):
    """Reads a monitor."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing: registering asks for no lifts."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """The gauges, and what the monitor could not count."""
        found = self._monitor.lifts()
        for name, told, always, value in GAUGES:
            family = GaugeMetricFamily(name, told, labels=LABELS)
            for key, one in each(found):
                if always or not one.refused:
                    family.add_metric([*key, one.stage], value(one))
            yield family
        missed = CounterMetricFamily("sluice_lift_missed", "What lifts do not count.", labels=["what"])
        missed.add_metric(["batch dropped"], self._monitor.dropped)
        missed.add_metric(["click on no held page"], self._monitor.unmatched)
        yield missed


def each(found: list[tuple[Key, tuple[Lift, ...]]]) -> Iterator[tuple[Key, Lift]]:
    """Stage by stage."""
    return ((key, one) for key, lifts in found for one in lifts)
