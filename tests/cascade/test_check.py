"""The plan of a cascade: what reads what, what cannot run, and what is cost without effect."""

from collections.abc import Iterator
from importlib.metadata import EntryPoint

import pytest

from cascade.check import plan
from cascade.config import parse_config
from features.errors import InvalidConfig
from features.registry import FEATURES, kinds

PRICE = '[[features]]\nkind = "centred"\nname = "price"\nfield = "price"\n'
READS_ALL = '[[stages]]\nkind = "lambdamart"\n'


@pytest.fixture(autouse=True)
def plug_in() -> Iterator[None]:
    """The feature kind `centred`, registered as an installed plug-in would be."""
    kinds(FEATURES)["centred"] = EntryPoint("centred", "cascade.testing:Centred", FEATURES)
    yield
    del kinds(FEATURES)["centred"]


def linear(name: str, *reads: str, keep: int | None = None) -> str:
    """A linear stage that reads the given columns."""
    weights = ", ".join(f'"{column}" = 1.0' for column in reads)
    cut = f"keep = {keep}\n" if keep else ""
    return f'[[stages]]\nkind = "linear"\nname = "{name}"\n{cut}weights = {{ {weights} }}\n'


def test_the_plan_tells_what_reads_what() -> None:
    """A stage that reads everything reads the scores before it too; a cut is what the next stage sees."""
    source = (
        PRICE + linear("first", "price", keep=50) + READS_ALL + linear("last", "stage.lambdamart", keep=5)
    )
    made = plan(parse_config(source))
    assert [(row.name, row.kind, row.reads, row.makes) for row in made.features] == [
        ("price", "centred", ("price",), ("price",))
    ]
    assert [(row.name, row.reads, row.sees, row.keep) for row in made.stages] == [
        ("first", ("price",), None, 50),
        ("lambdamart", ("price", "stage.first"), 50, None),
        ("last", ("stage.lambdamart",), 50, 5),
    ]
    assert made.warnings == ()


def test_a_stage_sees_what_the_last_cut_before_it_let_through() -> None:
    """The smallest cut holds, also where a stage between keeps all that it sees."""
    cuts = linear("a", "price", keep=50) + linear("b", "price", keep=10) + linear("c", "price")
    made = plan(parse_config(PRICE + cuts + linear("d", "price")))
    assert [row.sees for row in made.stages] == [None, 50, 10, 10]


def test_a_column_that_nothing_makes_is_named_with_the_nearest() -> None:
    """A typo costs a sentence, not a training run."""
    with pytest.raises(InvalidConfig, match=r"^\$\.stages\[0\]: .*'prize'.*did you mean 'price'\?"):
        plan(parse_config(PRICE + linear("first", "prize")))


@pytest.mark.parametrize("reads", ["stage.last", "stage.first"])
def test_the_score_of_a_later_stage_is_not_there_yet(reads: str) -> None:
    """Neither a later stage's score nor its own can be read."""
    source = PRICE + linear("first", reads) + linear("last", "price")
    with pytest.raises(InvalidConfig, match="has not run by then"):
        plan(parse_config(source))


def test_a_stage_that_keeps_what_it_sees_is_warned_of() -> None:
    """Reranking behind the final cut reorders, but cannot bring anything in."""
    made = plan(parse_config(PRICE + linear("first", "price", keep=10) + linear("last", "price", keep=10)))
    assert len(made.warnings) == 1
    assert "$.stages[1].keep: 'last' sees 10 and keeps 10" in made.warnings[0]


def test_a_feature_that_nothing_reads_is_warned_of() -> None:
    """It would be computed for every candidate."""
    other = PRICE.replace('name = "price"', 'name = "other"')
    made = plan(parse_config(PRICE + other + linear("first", "price")))
    assert made.warnings == ("$.features[1]: nothing reads 'other'",)
    assert plan(parse_config(PRICE + other + READS_ALL)).warnings == ()
    behind = PRICE.replace('name = "price"', 'name = "other"').replace('"price"', '"feature.price"')
    assert plan(parse_config(PRICE + behind + linear("first", "other"))).warnings == ()


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("", r"\$\.stages"),
        ("stages = 3", r"\$\.stages"),
        ("features = 3", r"\$\.features"),
        ("[features]\na = 1", r"\$\.features"),
        ("stages = [3]", r"\$\.stages\[0\]\.kind"),
        ("[[stages]]\nname = 'x'", r"\$\.stages\[0\]\.kind"),
        ("[[stages]]\nkind = 'lambdmart'", r"\$\.stages\[0\]\.kind"),
        ("[[stages]]\nkind = 'fixed'\nkep = 3", r"\$\.stages\[0\]"),
        ("[[stages]]\nkind = 'fixed'\nkeep = 0", r"\$\.stages\[0\]\.keep"),
        ("[[stages]]\nkind = 'fixed'\nname = '../x'", r"\$\.stages\[0\]\.name"),
        ("[[stages]]\nkind = 'fixed'\nname = 'input'", r"\$\.stages\[0\]\.name"),
        ("[[stages]]\nkind = 'fixed'\n[[stages]]\nkind = 'fixed'", r"\$\.stages\[1\]\.name"),
        ("[[stages]]\nkind = 'fixed'\ntable = { a = inf }", r"\$\.stages\[0\]"),
        ("[[stages]]\nkind = 'lambdamart'\ntrain = { leafs = 3 }", r"\$\.stages\[0\]\.train"),
        ("[[stages]]\nkind = 'lambdamart'\ntrain = { leaves = 1 }", r"\$\.stages\[0\]\.train\.leaves"),
        ("[[stage]]\nkind = 'fixed'", r"\$\.stage"),
        ("[[stages]\n", r"\$: not TOML"),
        (PRICE + PRICE + "[[stages]]\nkind = 'fixed'", r"\$\.features\[1\]\.name"),
    ],
)
def test_a_mistake_is_named_by_its_path(source: str, path: str) -> None:
    """Whatever is wrong in a cascade.toml, the sentence begins with where."""
    with pytest.raises(InvalidConfig, match=f"^{path}"):
        parse_config(source)


def test_a_keep_that_grows_is_refused() -> None:
    """A later stage cannot keep more than arrive."""
    with pytest.raises(InvalidConfig, match=r"^\$\.stages\[1\]\.keep: keeps 20 where only 10 arrive"):
        parse_config(PRICE + linear("first", "price", keep=10) + linear("last", "price", keep=20))
