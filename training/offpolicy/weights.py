"""How much each logged item counts for the target policy: importance weights, one family a function.

Each gives float64[p, K], 0 where nothing counts, and 1 everywhere where the target is the logging policy.
With them every estimator reads V = 1/p Σ_pages Σ_k w_k r_k.
"""

from collections.abc import Callable, Mapping

import numpy as np

from features.columns import Doubles
from features.errors import InvalidInput
from training.offpolicy.slates import Meaning, Slates

Weigh = Callable[[Slates], Doubles]


def whole_page(slates: Slates) -> Doubles:
    """w_k = π(page) / π_0(page): supposes nothing of how people behave, and needs the same page by chance.

    Horvitz and Thompson (1952); Li et al., "Unbiased Offline Evaluation of Contextual-bandit-based News
    Article Recommendation Algorithms" (WSDM 2011).
    """
    ratio = np.where(slates.counts, ratios(slates), 1.0)
    drawn = slates.meaning in ("sequential", "factored")
    joint = ratio.prod(axis=1) if drawn else smallest(ratio, slates)
    return np.where(slates.counts, joint[:, None], 0.0)


def smallest(ratio: Doubles, slates: Slates) -> Doubles:
    """float64[p]: the one ratio of a page whose propensities are the page's: 0 where an item is elsewhere."""
    there = np.where(slates.counts, ratio, np.inf).min(axis=1)
    return np.where(np.isfinite(there), there, 1.0)


def cascade(slates: Slates) -> Doubles:
    """w_k = Π_{j ≤ k} π(item_j | above) / π_0(item_j | above): what is below does not matter to an item.

    Reward-interaction IPS: McInerney et al., "Counterfactual Evaluation of Slate Recommendations with
    Sequential Reward Interactions" (KDD 2020).
    """
    ratio = np.where(slates.counts, ratios(slates), 1.0)
    return np.where(slates.counts, np.cumprod(ratio, axis=1), 0.0)


def independent(slates: Slates) -> Doubles:
    """w_k = π(item_k at k) / π_0(item_k at k): an item earns by itself and its place alone.

    Item-position IPS: Li et al., "Offline Evaluation of Ranking Policies with Click Models" (KDD 2018).
    """
    return np.where(slates.counts, ratios(slates), 0.0)


def pseudoinverse(slates: Slates) -> Doubles:
    """w = 1 + Σ_k (π(item_k at k) / π_0(item_k at k) - 1), the same along the page.

    What a page earns is a sum over its places, each item's share by itself and its place alone; whose reward
    a click is plays no part, so that attention or credit may go from one item to another. Needs places that
    were drawn independently of each other, for which the pseudoinverse of the logging policy's second moments
    has this form (Swaminathan et al., "Off-policy Evaluation for Slate Recommendation", NIPS 2017). A weight
    may be negative, down to 1 - K.
    """
    change = np.where(slates.counts, ratios(slates) - 1.0, 0.0).sum(axis=1)
    return np.where(slates.counts, 1.0 + change[:, None], 0.0)


def ratios(slates: Slates) -> Doubles:
    """π / π_0 item by item."""
    known = np.where(slates.counts, slates.propensity, 1.0)
    ratio: Doubles = slates.target / known
    return ratio


def examined(propensity: Doubles) -> Weigh:
    """w_i = θ_rank(i) / θ_k: clicks of the position-based model, wherever the target puts the item.

    Joachims, Swaminathan and Schnabel, "Unbiased Learning-to-Rank with Biased Feedback" (WSDM 2017). Needs no
    randomised logging, but that P(click) = θ_place · α_item holds, and θ itself. Places below those of
    `propensity` (float64[places], above 0) tell nothing.

    Raises:
        InvalidInput: for propensities that are not above 0.
    """
    if not len(propensity) or not (propensity > 0).all():
        raise InvalidInput("examination propensities must be above 0", path="propensity")

    def weigh(slates: Slates) -> Doubles:
        at = np.arange(slates.reward.shape[1])
        there = slates.shown & (at < len(propensity))
        logged = propensity[np.minimum(at, len(propensity) - 1)]
        return np.where(there, looked_at(propensity, slates) / logged, 0.0)

    return weigh


def looked_at(propensity: Doubles, slates: Slates) -> Doubles:
    """float64[p, K]: θ at the place that the target gives each item; 0 below the depth."""
    deepest = min(slates.depth, len(propensity))
    theta = propensity[np.clip(slates.rank, 0, deepest - 1)]
    return np.where(slates.rank < deepest, theta, 0.0)


FAMILIES: Mapping[Meaning, tuple[tuple[str, Weigh], ...]] = {
    "place": (("independent", independent),),
    "sequential": (("cascade", cascade), ("whole page", whole_page)),
    "page": (("whole page", whole_page),),
    "factored": (("pseudoinverse", pseudoinverse), ("independent", independent), ("whole page", whole_page)),
}
"""What each kind of logged propensity allows; the first supposes least or varies least, and decides."""
