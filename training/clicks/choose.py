"""Which click model a log's users follow: the one that foretells, from the clicks above, what comes next."""

from collections.abc import Iterator, Sequence

from training.clicks.browsing import UserBrowsing
from training.clicks.dbn import DynamicBayesian
from training.clicks.impressions import Impressions, Source
from training.clicks.model import ClickModel, Verdict, judge
from training.clicks.pairs import Pairs
from training.clicks.position_based import PositionBased

USUAL_MODELS: tuple[ClickModel, ...] = (PositionBased(), UserBrowsing(), DynamicBayesian())


def ranked_models(source: Source, models: Sequence[ClickModel] = USUAL_MODELS) -> dict[str, Verdict]:
    """Model → its verdict, best first by perplexity given the clicks above; fitted on every other page.

    Estimates that suppose examination by rank (`latent`, `relevance`) are for logs where `dynamic_bayesian`
    is not clearly first. Where people read down and stop, that model's own relevance agrees best with the
    truth, but is too rough to train on unless documents were seen often (`python -m benchmarks unbiased`).
    """
    learn, held = every_other(source, 0), every_other(source, 1)
    pairs = Pairs.of(learn)
    verdicts = {model.name: judge(model.fit(learn, pairs), held) for model in models}
    return dict(sorted(verdicts.items(), key=lambda item: item[1].given_above))


def every_other(source: Source, first: int) -> Source:
    """Every second page of each part."""

    def half() -> Iterator[Impressions]:
        for pages in source():
            yield pages.take(slice(first, None, 2))

    return half
