"""What shadows came to, version by version."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from cascade.experiments.shadows import Shadowed


@dataclass(frozen=True, slots=True)
class ShadowArm:
    """One version's shadow rankings.

    Attributes:
        rankings: made; `failed`, `degraded`: how many ended in an error, or with a stage cut short.
        ms, ms_95: median and 95th percentile of a ranking; `control_ms`: the control's median by its stages.
        overlap: mean share of the control's first 10 that are among its own first 10.
        tau: mean of Kendall's over what is among the first 10 of either.
    """

    version: str
    rankings: int
    failed: int
    degraded: int
    ms: float | None
    ms_95: float | None
    control_ms: float | None
    overlap: float | None
    tau: float | None


def shadow_arms(found: Iterable[Shadowed], versions: tuple[str, ...]) -> tuple[ShadowArm, ...]:
    """Along the versions."""
    lines: dict[str, list[Shadowed]] = {version: [] for version in versions}
    for one in found:
        if one.version in lines:
            lines[one.version].append(one)
    return tuple(shadow_arm(version, some) for version, some in lines.items())


def shadow_arm(version: str, lines: list[Shadowed]) -> ShadowArm:
    """One version's."""
    ran = [one for one in lines if not one.failed]
    failed, degraded = len(lines) - len(ran), sum(one.degraded for one in ran)
    if not ran:
        return ShadowArm(version, 0, failed, 0, None, None, None, None, None)
    ms, control_ms, overlap, tau = (
        np.array([getattr(one, name) for one in ran]) for name in ("ms", "control_ms", "overlap", "tau")
    )
    return ShadowArm(
        version=version,
        rankings=len(ran),
        failed=failed,
        degraded=degraded,
        ms=float(np.median(ms)),
        ms_95=float(np.quantile(ms, 0.95)),
        control_ms=float(np.median(control_ms)),
        overlap=float(overlap.mean()),
        tau=float(tau.mean()),
    )
