"""evaluate --log and promote through the gate, over a store and an event log."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from cascade.bundle import Draft, write_bundle
from cascade.config import parse_config
from cascade.eventlog.testing import done, matrix, shown, write_segment
from cascade.events import Event
from cascade.store import DirectoryStore
from cascade.testing import NOON, candidates
from cli.main import app
from features.columns import number
from features.errors import InvalidInput, NotFound, NotReady, SluiceError

PRICED = """
[[features]]
name = "price"
kind = "numeric"
field = "price"

[[stages]]
kind = "linear"
weights = {{ price = {weight} }}
"""
PAGES, ITEMS = 1_600, 4
THETA = np.array([1.0, 0.6, 0.4, 0.3])


@dataclass
class Shop:
    """A store where `old` (dear first) serves and `new` (cheap first) waits, and a log of old's pages."""

    folder: Path
    old: str
    new: str
    fingerprint: str

    def run(self, *arguments: object) -> Result:
        """A command line about the shop; what the program would catch is raised."""
        command, *rest = (str(each) for each in arguments)
        where = ["--store", str(self.folder / "store"), "--tenant", "shop"]
        result = CliRunner().invoke(app, [command, *where, *rest])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def evaluated(self, *more: object) -> Path:
        """The JSON of new against the log."""
        file = self.folder / "found.json"
        self.run("evaluate", "--log", self.folder / "log", "--version", self.new, "--json", file, *more)
        return file


def bundle(folder: Path, weight: float, source: str = PRICED) -> Path:
    """A bundle that ranks by price."""
    config = parse_config(source.format(weight=weight))
    folder.mkdir(parents=True)
    golden = candidates(["a", "b", "c"], {"price": number([1.0, 2.0, 3.0])})
    draft = Draft("default", config, config.feature_set(), folder / "none", golden)
    write_bundle(folder / "bundle", draft, NOON)
    return folder / "bundle"


def events(version: str, fingerprint: str, seed: int = 1) -> list[Event]:
    """Pages with dear items first, half of them in random order, seen by people who like what is cheap."""
    random = np.random.default_rng(seed)
    made: list[Event] = []
    for page in range(PAGES):
        prices = np.sort(random.choice(20, ITEMS, replace=False))[::-1].astype(float)
        order = random.permutation(ITEMS) if random.random() < 0.5 else np.arange(ITEMS)
        chance = 0.5 / ITEMS + 0.5 * (order == np.arange(ITEMS))
        ids = [f"p{int(price)}" for price in prices[order]]
        made.append(
            shown(
                f"r{page}", *ids, at_s=float(page), user=f"u{page // 3}", version=version, ranker="default",
                query=f"q{page % 7}", features=matrix(prices[order]), names=("price",),
                fingerprint=fingerprint, propensities=matrix(chance),
            )
        )  # fmt: skip
        clicked = random.random(ITEMS) < THETA * np.where(prices[order] < 7, 0.6, 0.1)
        made += [done(f"r{page}c{k}", f"r{page}", ids[k], page + 5.0) for k in np.flatnonzero(clicked)]
    return made


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The shop; tests promote in copies of nothing: only `new` is ever promoted, last."""
    folder = tmp_path_factory.mktemp("shop")
    store = DirectoryStore(folder / "store")
    old, new = (store.publish("shop", "default", bundle(folder / f"b{w}", w)) for w in (1.0, -1.0))
    store.promote("shop", "default", old)
    fingerprint = parse_config(PRICED.format(weight=1)).feature_set().fingerprint
    write_segment(folder / "log", events(old, fingerprint), tenant="shop")
    return Shop(folder, old, new, fingerprint)


def test_evaluate_on_a_log(shop: Shop) -> None:
    """A better candidate is told to be better, for people and for machines, by every estimator."""
    result = shop.run("evaluate", "--log", shop.folder / "log", "--version", shop.new)
    assert result.exit_code == 0
    assert "- better than what was logged" in result.stdout
    found = json.loads(shop.evaluated().read_text())
    assert (found["kind"], found["version"], found["pages"]) == ("off-policy", shop.new, PAGES)
    assert found["versions"] == {shop.old: PAGES}
    assert [f"{each['family']}, {each['method']}" for each in found["estimates"]] == [
        "independent, doubly robust",
        "independent, ips",
        "independent, self-normalised",
        "position-based, doubly robust",
        "position-based, ips",
    ]
    assert all(each["difference"]["low"] > 0 for each in found["estimates"])
    assert found["examination"] == pytest.approx(THETA, abs=0.15)


def test_people_or_queries_hang_together(shop: Shop) -> None:
    """Seven queries are too few to resample: the same log is refused for that alone."""
    file = shop.folder / "queries.json"
    result = shop.run("evaluate", "--log", shop.folder / "log", "--cluster", "query", "--json", file)
    assert result.exit_code == 1
    assert json.loads(file.read_text())["refused"] == [
        "7 clusters (people, or queries) of pages; at least 100 are needed"
    ]


def test_the_ranker_that_logged_is_not_better_than_itself(shop: Shop) -> None:
    """Old on its own log: its own pages without the random half are a little worse, as it likes the dear."""
    file = shop.folder / "own.json"
    shop.run("evaluate", "--log", shop.folder / "log", "--version", shop.old, "--json", file)
    found = json.loads(file.read_text())
    assert found["moved"] == pytest.approx(0.5, abs=0.05)
    assert found["estimates"][0]["difference"]["high"] < 0


def test_a_log_that_cannot_answer_exits_1(shop: Shop) -> None:
    """Propensities read as what they are not do not add up: said in a line, and written down."""
    result = shop.run(
        "evaluate", "--log", shop.folder / "log", "--version", shop.new, "--propensities", "page",
        "--json", shop.folder / "refused.json",
    )  # fmt: skip
    assert result.exit_code == 1
    assert "the log cannot tell" in result.stdout
    assert json.loads((shop.folder / "refused.json").read_text())["refused"]


def test_what_cannot_be_replayed(shop: Shop, tmp_path: Path) -> None:
    """Another feature set, a log without the tenant, neither a log nor a collection, an unknown reward."""
    store = DirectoryStore(shop.folder / "store")
    other = PRICED.replace('"price"\nkind', '"cost"\nkind').replace("price =", "cost =")
    version = store.publish("shop", "default", bundle(tmp_path / "other", 1.0, other))
    log = ("--log", shop.folder / "log")
    cases: list[tuple[type[SluiceError], str, tuple[Any, ...]]] = [
        (NotReady, "no page can be replayed", (*log, "--version", version)),
        (NotFound, "no events of tenant", ("--log", tmp_path)),
        (InvalidInput, "give --collection DIR, or --log DIR", ()),
        (NotReady, "none of 1600 pages was ranked by default@", (*log, "--against", shop.new)),
        (InvalidInput, "there are click, save", (*log, "--reward", "smile")),
    ]
    for error, message, arguments in cases:
        with pytest.raises(error, match=message):
            shop.run("evaluate", *arguments)


def test_the_gate_refuses_without_evidence_and_says_the_way_out(shop: Shop) -> None:
    """Exit 1, nothing on standard output, the serving version stays."""
    result = shop.run("promote", "--version", shop.new)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no evidence that it is better" in result.stderr
    assert "sluice evaluate --log" in result.stderr
    assert DirectoryStore(shop.folder / "store").promotion("shop", "default").version == shop.old


def test_evidence_of_another_version_does_not_count(shop: Shop) -> None:
    """An evaluation names what it is of; a file that is none is an error."""
    file = shop.folder / "other.json"
    shop.run("evaluate", "--log", shop.folder / "log", "--version", shop.old, "--json", file)
    result = shop.run("promote", "--version", shop.new, "--evaluation", file)
    assert result.exit_code == 1
    assert f"the evaluation is of version {shop.old}" in result.stderr
    file.write_text("{}")
    with pytest.raises(InvalidInput, match="is no evaluation"):
        shop.run("promote", "--version", shop.new, "--evaluation", file)
    with pytest.raises(NotFound, match="cannot be read"):
        shop.run("promote", "--version", shop.new, "--evaluation", shop.folder / "none.json")


def test_the_gate_agrees_with_evidence(shop: Shop, tmp_path: Path) -> None:
    """The log's evaluation promotes the better version; force is recorded where the gate refuses."""
    result = shop.run("promote", "--version", shop.new, "--evaluation", shop.evaluated())
    assert (result.exit_code, result.stdout) == (0, f"{shop.new}\n"), result.stderr
    back = shop.run("promote", "--version", shop.old, "--force", "--reason", "a drill")
    assert (back.exit_code, back.stdout) == (0, f"{shop.old}\n")
    assert "promoted nevertheless" in back.stderr
    told = msgspec.json.decode((shop.folder / "store/shop/default/promoted.json").read_bytes())
    first, second = told["records"]
    assert first["version"] == shop.new
    assert "forced" not in first
    assert any("better" in each for each in first["grounds"])
    assert (second["version"], second["forced"], second["reason"]) == (shop.old, True, "a drill")
    assert second["refusals"] == ["no evidence that it is better"]
    assert second["time"].endswith("+00:00")
    assert shop.run("rollback").stdout == f"{shop.new}\n"
    kept = msgspec.json.decode((shop.folder / "store/shop/default/promoted.json").read_bytes())
    assert kept["records"] == told["records"]


def test_a_first_version_passes(tmp_path: Path) -> None:
    """Nothing serves yet, so nothing has to be beaten; the same version again asks nobody."""
    store = DirectoryStore(tmp_path)
    version = store.publish("shop", "default", bundle(tmp_path / "b", 1.0))
    arguments = ["promote", "--store", str(tmp_path), "--tenant", "shop", "--version", version]
    for _ in range(2):
        result = CliRunner().invoke(app, arguments)
        assert (result.exit_code, result.stdout) == (0, f"{version}\n")
    assert len(store.promotion("shop", "default").records) == 1
