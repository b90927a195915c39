"""`sluice train --base`, `train-base` and `train-tenants`: from shops on disk to rankers that borrow."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from cascade.bundle import load_ranker
from cascade.manifest import read_manifest
from cascade.store import DirectoryStore
from cascade.tenants import Tenant, Tenants
from cli import train, train_base, train_tenants
from features.errors import InvalidInput
from training.borrowing.run import opened_base
from training.borrowing.testing import CASCADE, write_shop

SHOPS = {"ants": (1.0, 0.0), "bees": (1.0, 0.1), "cats": (1.0, 0.8)}

app = typer.Typer()
app.command("train")(train.command)
app.command("train-base")(train_base.command)
app.command("train-tenants")(train_tenants.command)


def run(*arguments: object) -> Result:
    """One command; an error of ours is raised."""
    opened_base.cache_clear()
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three shops, two of which share, and a base that was made of those."""
    root: Path = tmp_path_factory.mktemp("market")
    for seed, (name, likes) in enumerate(SHOPS.items()):
        write_shop(root / "shops" / name, 40, likes, seed)
    write_shop(root / "shops" / "dogs", 0)
    (root / "cascade.toml").write_text(CASCADE)
    for name in ("ants", "bees"):
        Tenants(root / "store").add(name, Tenant(share_with_base=True))
    return root


@pytest.fixture(scope="module")
def lent(folder: Path) -> Result:
    """`train-base` over those that share."""
    return run(
        "train-base", "--collections", folder / "shops", "--config", folder / "cascade.toml",
        "--store", folder / "store", "--tenant", "base", "--parts", 2, "--promote",
    )  # fmt: skip


@pytest.fixture(scope="module")
def borrowed(folder: Path, lent: Result) -> Result:
    """`train-tenants` over all of them."""
    return run(
        "train-tenants", "--collections", folder / "shops", "--base", "base", "--store", folder / "store",
        "--work", folder / "work", "--jobs", 1, "--promote", "--json", folder / "out.json",
    )  # fmt: skip


def test_a_base_of_those_that_share(folder: Path, lent: Result) -> None:
    """The manifest lists them with what they gave, and not the one that did not agree."""
    store = DirectoryStore(folder / "store")
    manifest = json.loads((store.path("base", "default") / "manifest.json").read_text())
    assert [(each["tenant"], each["queries"]) for each in manifest["data"]["sources"]] == [
        ("ants", 40),
        ("bees", 40),
    ]
    assert "learned from ants (40), bees (40)" in " ".join(lent.stdout.split())
    assert "2 tenants do not share" in lent.stderr


def test_every_tenant_gets_a_ranker(folder: Path, borrowed: Result) -> None:
    """All four serve: the base where it is right or nothing is known, more where a tenant differs."""
    assert borrowed.exit_code == 0
    told = {each["tenant"]: each for each in json.loads((folder / "out.json").read_text())["tenants"]}
    store = DirectoryStore(folder / "store")
    assert {name: store.promotion(name, "default").version for name in told} == {
        name: each["version"] for name, each in told.items()
    }
    assert told["dogs"]["kind"] == "base"
    assert told["cats"]["kind"] in ("residual", "own")
    assert told["cats"]["gains"][told["cats"]["kind"]]["mean"] > 0
    assert "What tenants got" in borrowed.stdout
    for name in told:
        load_ranker(store.path(name, "default"), "default")


def test_a_second_run_does_nothing(folder: Path, borrowed: Result) -> None:
    """The same command again publishes no version."""
    store = DirectoryStore(folder / "store")
    before = {name: store.versions(name, "default") for name in (*SHOPS, "dogs")}
    again = run(
        "train-tenants", "--collections", folder / "shops", "--base", "base", "--store", folder / "store",
        "--work", folder / "work", "--jobs", 1, "--promote",
    )  # fmt: skip
    assert again.exit_code == 0
    assert {name: store.versions(name, "default") for name in before} == before


def test_a_failure_is_told_and_exits_1(folder: Path, borrowed: Result) -> None:
    """The others are published all the same."""
    other = write_shop(folder / "more" / "elks", 3)
    (other / "qrels.tsv").write_text("nonsense\n")
    write_shop(folder / "more" / "foxes", 0)
    result = run(
        "train-tenants", "--collections", folder / "more", "--base", "base", "--store", folder / "store",
        "--work", folder / "work2", "--jobs", 1,
    )  # fmt: skip
    assert result.exit_code == 1
    assert "elks: " in result.stderr
    assert len(DirectoryStore(folder / "store").versions("foxes", "default")) == 1


def test_one_tenant_borrows_by_train(folder: Path, lent: Result) -> None:
    """`sluice train --base` shows the three with intervals, marks the chosen one, and says why."""
    result = run(
        "train", "--collection", folder / "shops" / "cats", "--config", folder / "cascade.toml",
        "--store", folder / "store", "--tenant", "cats2", "--base", "base", "--promote",
        "--json", folder / "one.json",
    )  # fmt: skip
    told = json.loads((folder / "one.json").read_text())
    assert DirectoryStore(folder / "store").promotion("cats2", "default").version == told["version"]
    assert set(told["borrowing"]["figures"]) == {"base", "residual", "own"}
    assert "chosen: " in result.stdout
    assert "so a weight of" in result.stdout


def test_one_of_two_ways_to_name_the_tenants(folder: Path) -> None:
    """Neither, or a mixture, is refused with both ways."""
    for given in ([], ["--collection", folder], ["--collections", folder, "--by", "shop"]):
        with pytest.raises(InvalidInput, match="give --collections DIR, or --collection DIR with --by FIELD"):
            run(
                "train-base",
                *given,
                "--config",
                folder / "cascade.toml",
                "--store",
                folder / "s",
                "--tenant",
                "b",
            )


def test_nobody_shares(folder: Path, tmp_path: Path) -> None:
    """Without a tenant that agreed no base is made, and the setting is named."""
    (tmp_path / "store").mkdir()
    with pytest.raises(InvalidInput, match="share"):
        run(
            "train-base", "--collections", folder / "shops", "--config", folder / "cascade.toml",
            "--store", tmp_path / "store", "--tenant", "base",
        )  # fmt: skip


def test_who_withdrew_is_lent_no_more(folder: Path, lent: Result) -> None:
    """Only the tenant itself borrows from a base with its private labels, and whoever is told to; then the
    manifest names the tenant."""
    tenants, store = Tenants(folder / "store"), DirectoryStore(folder / "store")
    shared = tenants.get("bees")
    one = (
        "train", "--collection", write_shop(folder / "hens", 3, seed=8), "--config", folder / "cascade.toml",
        "--store", folder / "store", "--base", "base", "--json", folder / "borrowed.json",
    )  # fmt: skip
    write_shop(folder / "few" / "gnus", 0)
    many = (
        "train-tenants", "--collections", folder / "few", "--base", "base", "--store", folder / "store",
        "--work", folder / "work3", "--jobs", 1,
    )  # fmt: skip
    told = []
    tenants.change("bees", "tenant-set", lambda _: Tenant())
    try:
        for command in ((*one, "--tenant", "hens"), many):
            with pytest.raises(InvalidInput, match=r"learned from bees.*--allow-private-base"):
                run(*command)
        for more in (("--tenant", "bees"), ("--tenant", "hens", "--allow-private-base")):
            run(*one, *more)
            told.append(json.loads((folder / "borrowed.json").read_text())["borrowing"])
        run(*many, "--allow-private-base")
    finally:
        tenants.change("bees", "tenant-set", lambda _: shared)
    (version,) = store.versions("gnus", "default")
    told.append(read_manifest(store.path("gnus", "default", version)).manifest.data["borrowing"])
    assert [each.get("private_sources") for each in told] == [None, ["bees"], ["bees"]]
