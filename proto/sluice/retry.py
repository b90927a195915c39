"""What may be sent again, and after how long."""

from dataclasses import dataclass

from sluice.errors import Busy, RankError, Unreachable


@dataclass(frozen=True, slots=True)
class Retry:
    """At most `attempts` in all, for two kinds of failure and no other.

    An `Unreachable` server is asked again after a jittered exponential wait. A `Busy` one is asked again
    where it said when to come back, and never before. Everything else would fail the same way again.

    Attributes:
        attempts: the first one included; 1 = never send again.
        base_s, cap_s: the wait grows from `base_s` by doubling, up to `cap_s`.
    """

    attempts: int = 3
    base_s: float = 0.05
    cap_s: float = 1.0

    def wait_s(self, error: RankError, attempt: int, jitter: float) -> float | None:
        """Seconds to wait after the failed `attempt` (from 1); None = do not send again.

        `jitter`, in [0, 1), spreads clients over half to all of the wait.
        """
        if attempt >= self.attempts:
            return None
        backoff = min(self.cap_s, self.base_s * 2.0 ** (attempt - 1)) * (0.5 + jitter / 2)
        if isinstance(error, Busy):
            return None if error.retry_after_s is None else error.retry_after_s + backoff * jitter
        return backoff if isinstance(error, Unreachable) else None
