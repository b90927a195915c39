"""experiment start | status | stop, as a person and a script use them, up to the promotion."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from cascade.eventlog.testing import START_S, done, shown, write_segment
from cascade.events import Event
from cascade.experiments.assignment import group_of
from cascade.experiments.declared import Experiment
from cascade.experiments.shadows import Shadowed, ShadowLog
from cascade.store import DirectoryStore
from cascade.testing import write_tiny_bundle
from cli.main import app
from features.errors import Conflict, InvalidInput, NotFound, NotReady, SluiceError

Run = Callable[..., Result]


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    """A store with three versions, the first of which serves."""
    made = DirectoryStore(tmp_path / "store")
    for number in range(3):
        version = made.publish("shop", "default", write_tiny_bundle(tmp_path / f"b{number}", 3.0 + number))
        if not number:
            made.promote("shop", "default", version)
    return made


@pytest.fixture
def run(store: DirectoryStore) -> Run:
    """A command line about the store; what the program would catch is raised."""

    def invoke(*arguments: object) -> Result:
        words = [str(each) for each in arguments]
        result = CliRunner().invoke(app, [*words, "--store", str(store.root), "--tenant", "shop"])
        if isinstance(result.exception, SluiceError):
            raise result.exception
        return result

    return invoke


def others(store: DirectoryStore) -> list[str]:
    """The versions that do not serve."""
    serving = store.promotion("shop", "default").version
    return [version for version in store.versions("shop", "default") if version != serving]


def pages(declared: Experiment, rates: tuple[float, float], count: int = 2_000) -> list[Event]:
    """Pages of a canary after its start, clicked at their arm's rate."""
    random, made = np.random.default_rng(1), []
    for number in range(count):
        user, at_s = f"u{number // 2}", float(number)
        group = group_of(declared, user, "", "")
        made.append(
            shown(f"r{number}", "a", "b", at_s=at_s, user=user, ranker="default",
                  version=declared.arms[group], arm=declared.groups[group])
        )  # fmt: skip
        if random.random() < rates[group]:
            made.append(done(f"c{number}", f"r{number}", "a", at_s + 5.0))
    return made


def begin(store: DirectoryStore, kind: str = "canary", **fields: Any) -> Experiment:
    """An experiment that started with the log's first page."""
    arms = (store.promotion("shop", "default").version, others(store)[0])
    started = np.datetime_as_string(np.datetime64(START_S, "s")) + "+00:00"
    made = Experiment(
        name="test",
        kind=kind,
        arms=arms,
        shares=(0.5, 0.5),
        seed=1,
        started=started,
        **fields,  # type: ignore[arg-type]
    )
    store.start_experiment("shop", "default", made)
    return made


def test_start_and_stop(store: DirectoryStore, run: Run) -> None:
    """What was asked for runs against what serves; stop ends it and says how to go on; both are audited."""
    first, second = others(store)
    result = run(
        "experiment", "start", "--kind", "canary", "--arm", first[:12], "--arm", second, "--share", "0.2",
        "--share", "0.1", "--name", "prices", "--metric", "purchase", "--seed", 5,
    )  # fmt: skip
    assert (result.exit_code, result.stdout) == (0, "prices\n")
    found = store.experiments("shop", "default").running
    assert found is not None
    assert found.arms == (store.promotion("shop", "default").version, first, second)
    assert found.shares == pytest.approx((0.7, 0.2, 0.1))
    assert (found.kind, found.metric, found.seed) == ("canary", "purchase", 5)
    with pytest.raises(Conflict, match="'prices' runs"):
        run("experiment", "start", "--kind", "shadow", "--arm", first)
    ended = run("experiment", "stop")
    assert ended.stdout == "prices\n"
    assert "sluice promote" in ended.stderr
    assert f"--version {first} --evaluation found.json" in ended.stderr
    with pytest.raises(NotReady, match="no experiment runs"):
        run("experiment", "stop")
    told = [(entry.action, entry.before, entry.after) for entry in store.audit("shop")[-2:]]
    assert told == [("experiment-start", "", "canary prices"), ("experiment-stop", "prices", "")]


def test_defaults_suit_the_kind(store: DirectoryStore, run: Run) -> None:
    """All are interleaved, a tenth is a canary's or a shadow's, and the name tells kind and time."""
    for kind, shares in (("interleave", (0.0, 1.0)), ("canary", (0.9, 0.1)), ("shadow", (0.9, 0.1))):
        run("experiment", "start", "--kind", kind, "--arm", others(store)[0], "--name", f"a-{kind}")
        found = store.experiments("shop", "default").running
        assert found is not None
        assert found.shares == pytest.approx(shares)
        run("experiment", "stop")
    assert run("experiment", "start", "--kind", "canary", "--arm", others(store)[0]).stdout.startswith(
        "canary-2"
    )


def test_what_cannot_be_started_says_why(store: DirectoryStore, run: Run) -> None:
    """An arm that is no version, the control as its own challenger, shares beyond 1, nothing promoted."""
    start = ("experiment", "start", "--kind", "canary")
    with pytest.raises(NotFound, match="no version 'beef'"):
        run(*start, "--arm", "beef")
    with pytest.raises(InvalidInput, match="two or more versions"):
        run(*start, "--arm", store.promotion("shop", "default").version)
    with pytest.raises(InvalidInput, match="sum to more than 1"):
        run(*start, "--arm", others(store)[0], "--share", "1.5")
    store.publish("shop", "second", store.path("shop", "default"))
    (only,) = store.versions("shop", "second")
    with pytest.raises(NotReady, match="nothing is promoted"):
        run(*start, "--arm", only, "--ranker", "second")


def test_status_becomes_a_promotion(store: DirectoryStore, run: Run) -> None:
    """A better canary is told to people and machines, and its JSON lets the gate agree."""
    declared = begin(store)
    log = store.root.with_name("store-log")
    write_segment(log, pages(declared, (0.2, 0.4)), tenant="shop")
    told = run("experiment", "status")
    assert told.exit_code == 0
    assert "- arm better" in told.stdout
    assert "sample ratios p =" in told.stdout
    found = run("experiment", "status", "--json", "--log", log)
    file = log.with_name("found.json")
    file.write_text(found.stdout)
    made = json.loads(found.stdout)
    assert (made["kind"], made["verdict"], made["pages"]) == ("experiment", "arm better", 2_000)
    run("experiment", "stop")
    assert "(ended 20" in run("experiment", "status", "--name", "test").stdout
    result = run("promote", "--version", declared.arms[1], "--evaluation", file)
    assert result.exit_code == 0
    assert "the experiment: better, click (canary test) +0." in result.stderr
    record = store.promotion("shop", "default").records[-1]
    assert any("the experiment: better" in ground for ground in record.grounds)


@pytest.mark.parametrize(
    ("rates", "why"),
    [((0.4, 0.2), "the experiment: worse"), ((0.3, 0.3), "the experiment: not surely better")],
)
def test_the_gate_refuses_what_is_not_better(
    store: DirectoryStore, run: Run, rates: tuple[float, float], why: str
) -> None:
    """A canary that is worse, or no other, is no reason to promote."""
    declared = begin(store)
    log = store.root.with_name("store-log")
    write_segment(log, pages(declared, rates), tenant="shop")
    file = log.with_name("found.json")
    file.write_text(run("experiment", "status", "--json").stdout)
    result = run("promote", "--version", declared.arms[1], "--evaluation", file)
    assert result.exit_code == 1
    assert why in result.stderr
    other = run("promote", "--version", others(store)[1], "--evaluation", file)
    assert f"the evaluation is of version {declared.arms[1]}" in other.stderr


def test_status_without_events_says_why(store: DirectoryStore, run: Run) -> None:
    """No experiment, no log, and a log without a page of it are told apart."""
    with pytest.raises(NotFound, match="there are none"):
        run("experiment", "status")
    begin(store)
    with pytest.raises(NotFound, match="no events of tenant 'shop'"):
        run("experiment", "status")
    write_segment(store.root.with_name("store-log"), [shown("r", "a", ranker="default")], tenant="shop")
    with pytest.raises(NotReady, match="no page of 'test' is in the log yet"):
        run("experiment", "status")


def test_status_of_a_shadow(store: DirectoryStore, run: Run) -> None:
    """What shadows came to, as a table and as JSON; nothing yet is told."""
    declared = begin(store, "shadow")
    with pytest.raises(NotReady, match="no shadow ranking of 'test'"):
        run("experiment", "status")
    log = ShadowLog(store.root.with_name("store-log"), lambda: "p")
    for _ in range(3):
        log.append("shop", "test", Shadowed(declared.arms[1], 1.0, 4.0, 2.0, 0.5, 0.25))
    assert "overlap" in run("experiment", "status").stdout
    found = json.loads(run("experiment", "status", "--json").stdout)
    (arm,) = found["arms"]
    assert (found["kind"], arm["rankings"], arm["ms"], arm["overlap"]) == ("shadow", 3, 4.0, 0.5)
