"""Whether a stage earns its place, by a rule that anyone can state."""

from dataclasses import dataclass

from training.metrics import NDCG
from training.significance import Comparison


@dataclass(frozen=True, slots=True)
class Rule:
    """A stage earns its place by a relative lift of at least `min_lift` with a p-value below `alpha`."""

    min_lift: float = 0.02
    alpha: float = 0.05

    def earned(self, comparison: Comparison) -> bool:
        """Whether the rule is met; any gain over nothing is lift enough."""
        return self._enough(comparison) and comparison.p_value < self.alpha

    def sentence(self, comparison: Comparison) -> str:
        """The verdict in one plain sentence."""
        change = f"{NDCG} {percent(comparison)} against {comparison.against} (p = {comparison.p_value:.4f})"
        if self.earned(comparison):
            return f"earns its place: {change}"
        return f"does not earn its place: {change}, {self._lack(comparison)}"

    def _lack(self, comparison: Comparison) -> str:
        if not self._enough(comparison):
            return "a loss" if comparison.difference < 0 else f"less than the {self.min_lift:.1%} asked for"
        return f"which chance explains too well for p < {self.alpha:g}"

    def _enough(self, comparison: Comparison) -> bool:
        if comparison.relative_lift is None:
            return comparison.difference > 0
        return comparison.relative_lift >= self.min_lift


def percent(comparison: Comparison) -> str:
    """The lift in percent with its sign; the bare difference where there was nothing before."""
    if comparison.relative_lift is None:
        return f"{comparison.difference:+.4f} (from 0)"
    return f"{comparison.relative_lift:+.1%}"
