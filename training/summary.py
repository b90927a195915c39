"""An evaluation as JSON values: the layout that `sluice evaluate --json` promises."""

from typing import Any

import numpy as np

from training.evaluate import Evaluation, StageVerdict
from training.metrics import NDCG
from training.significance import Comparison


def summary(found: Evaluation) -> dict[str, Any]:
    """Everything but the per-query values."""
    conventions = found.settings.conventions
    return {
        "queries": len(found.judge.queries),
        "queries_without_relevant": found.judge.alone,
        "ranker": found.ranker,
        "digest": found.digest,
        "candidates": found.settings.candidates,
        "conventions": {
            "gain": conventions.gain,
            "no_relevant": conventions.no_relevant,
            "text": conventions.describe(),
        },
        "rule": {"min_lift": found.settings.rule.min_lift, "alpha": found.settings.rule.alpha},
        "seed": found.settings.seed,
        "baselines": {name: scores.means() for name, scores in found.baselines.items()},
        "stages": [stage_summary(stage) for stage in found.stages],
        "final_against": {each.against: comparison_summary(each) for each in found.final_against},
        "notes": list(found.notes),
    }


def stage_summary(stage: StageVerdict) -> dict[str, Any]:
    """One stage. `ms_per_query` and `tokens_per_query` are means."""
    tokens = stage.replay.tokens() or [0]
    return {
        "name": stage.replay.name,
        "metrics": stage.scores.means(),
        **comparison_summary(stage.comparison),
        "lost_relevant": stage.lost_relevant,
        "changed_top_10": stage.replay.changed_top(),
        "ms_per_query": stage.replay.mean_ms(),
        "ms_per_query_median": stage.replay.median_ms(),
        "tokens_per_query": float(np.mean(tokens)),
        "tokens_per_query_median": float(np.median(tokens)),
        "statuses": stage.replay.statuses(),
        "earns_its_place": stage.earned,
        "verdict": stage.verdict,
    }


def comparison_summary(found: Comparison) -> dict[str, Any]:
    """One comparison; the interval is of the difference in nDCG@10."""
    return {
        "against": found.against,
        "difference": found.difference,
        "relative_lift": found.relative_lift,
        "interval": {"low": found.low, "high": found.high, "level": found.level, "metric": NDCG},
        "p_value": found.p_value,
    }
