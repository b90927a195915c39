"""How behaviour becomes labels and weights, as declared: the file of `sluice train --behaviour FILE`."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec

from cascade.files import read_text
from features.errors import InvalidConfig
from features.registry import parse
from training.clicks.behaviour import WEIGHTS, Rules
from training.clicks.relevance import CLIP
from training.events.rules import Rules as JoinRules

Unbiased = Literal["auto", "ips", "position", "joint", "pooled", "none"]
UNBIASED: tuple[str, ...] = get_args(Unbiased)
Split = Literal["time", "user"]
Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class Learning(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to learn from a log.

    Attributes:
        unbiased: what is done about position bias. "auto": "ips" where the log tells how often places are
            seen, by swaps or repetition, else "joint". "ips": pairs of a page's items weighted by inverse
            propensities, clipped and self-normalised. "joint": pairs weighted by click and non-click
            propensities that are estimated along with the trees (Unbiased LambdaMART). "position":
            LightGBM's own position-bias model. "pooled": clicks of a query and document pooled over all
            pages, and learned from where they are sure, for queries that repeat. "none": raw clicks.
        weights: worth of each type of interaction; an item has the largest of those it got.
        dwell: how much one deviation of dwell above the usual adds to a click; 0 = off.
        unseen: "examination": what was hardly seen counts little, as `unbiased` says. "below_last_click":
            beside that, items below the last click of a page are left out.
        propensities: P(seen) by place, where it is known; () = fitted to the log.
        by: a named value of the query (`device`, or the person's as `user.device`). Pages of each of its
            values have a curve of their own, drawn to the whole log's as far as they are few; "" = one curve.
        clip: no place is taken to be seen less often than this share of the first.
        deepest: places below are left out.
        held_out: share of the pages that is judged on. split: the latest pages, or all pages of some users.
        least_clicks: fewer pages than this with a click that counts are too few.
        most_rows: shown items that are kept in memory; of a larger log a random share of its pages is used.
        resamples: for the interval of the propensities; 0 = none.
        settle_s: pages younger than this, before the end of the window, are left out.
        accept: feature sets, by the fingerprint that the log names, whose columns are the config's features
            of the same names: importers' logs.
        join: rules of the join (late, skewed, bots).
    """

    unbiased: Unbiased = "auto"
    weights: dict[str, float] = msgspec.field(default_factory=lambda: dict(WEIGHTS))
    dwell: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    unseen: Literal["examination", "below_last_click"] = "examination"
    propensities: tuple[Annotated[float, msgspec.Meta(gt=0)], ...] = ()
    by: str = ""
    clip: Share = CLIP
    deepest: Count = 50
    held_out: Share = 0.2
    split: Split = "time"
    least_clicks: Count = 100
    most_rows: Count = 3_000_000
    resamples: Annotated[int, msgspec.Meta(ge=0)] = 50
    settle_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    accept: tuple[str, ...] = ()
    join: JoinRules = JoinRules()

    @property
    def rules(self) -> Rules:
        """The rules of labels.

        Raises:
            InvalidConfig: for a weight that is not above 0.
        """
        return Rules(weights=self.weights, dwell=self.dwell, unseen=self.unseen)


def parse_learning(source: str) -> Learning:
    """Settings from TOML.

    Raises:
        InvalidConfig: naming the key by its path.
    """
    try:
        table = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise InvalidConfig(f"not TOML: {error}", path="$") from None
    found = parse(table, Learning, "$")
    if not found.weights:
        raise InvalidConfig("needs at least one type of interaction, such as click = 1.0", path="$.weights")
    _ = found.rules
    return found


def read_learning(file: Path | None, unbiased: str | None = None) -> Learning:
    """The settings of a file, or the defaults; `unbiased` given on the command line goes first.

    Raises:
        NotFound: if there is no such file.
        InvalidConfig: for a setting that cannot be right.
    """
    found = parse_learning(read_text(file)) if file else Learning()
    if unbiased is None:
        return found
    if unbiased not in UNBIASED:
        raise InvalidConfig(f"there are {', '.join(UNBIASED)}", path="--unbiased")
    return msgspec.convert({**msgspec.to_builtins(found), "unbiased": unbiased}, Learning)
