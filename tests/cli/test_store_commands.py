"""check, publish, promote, rollback and list, as a person or a script uses them."""

from pathlib import Path

import msgspec
import pytest
import typer
from typer.testing import CliRunner, Result

from cascade.bundle import open_bundle
from cascade.testing import NOON, write_tiny_bundle
from cli import check, listing, promote, publish, rollback
from features.errors import Conflict, InvalidConfig, InvalidInput, NotFound, NotReady, SluiceError

COMMANDS = {
    "check": check,
    "publish": publish,
    "promote": promote,
    "rollback": rollback,
    "list": listing,
}
GOOD = """
[[stages]]
kind = "fixed"
name = "first"
keep = 10

[[stages]]
kind = "linear"
name = "last"
keep = 10
weights = { "stage.first" = 1.0 }
"""


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    """The commands under test alone."""
    made = typer.Typer()
    for name, module in COMMANDS.items():
        made.command(name)(module.command)
    return made


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two bundles, the second an hour younger."""
    folder = tmp_path_factory.mktemp("bundles")
    return [write_tiny_bundle(folder / str(i), 3.0 + i, NOON.replace(hour=12 + i)) for i in range(2)]


def run(app: typer.Typer, *arguments: object) -> Result:
    """The result of a command line; what the program would catch is raised."""
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    if isinstance(result.exception, SluiceError):
        raise result.exception
    return result


def published(app: typer.Typer, store: Path, bundle: Path, *more: str) -> str:
    """The version that a publish prints."""
    result = run(app, "publish", bundle, "--store", store, "--tenant", "shop", *more)
    assert result.exit_code == 0
    return result.stdout.strip()


def listed(app: typer.Typer, store: Path, *more: str) -> list[dict[str, object]]:
    """What `list --json` prints."""
    result = run(app, "list", "--store", store, "--json", *more)
    assert result.exit_code == 0
    rows: list[dict[str, object]] = msgspec.json.decode(result.stdout)
    return rows


def test_publish_promote_roll_back(app: typer.Typer, bundles: list[Path], tmp_path: Path) -> None:
    """The circle of a release: each command prints the version, and only that, on standard output."""
    store = tmp_path / "store"
    first = published(app, store, bundles[0], "--promote")
    second = published(app, store, bundles[1])
    assert [first, second] == [open_bundle(bundle).version for bundle in bundles]
    where = ("--store", store, "--tenant", "shop")
    assert [row["version"] for row in listed(app, store) if row["promoted"]] == [first]
    forced = ("--expected", first, "--force", "--reason", "a test")
    assert run(app, "promote", *where, "--version", second, *forced).stdout == f"{second}\n"
    assert [row["version"] for row in listed(app, store) if row["promoted"]] == [second]
    assert run(app, "rollback", *where).stdout == f"{first}\n"
    with pytest.raises(NotReady):
        run(app, "rollback", *where)


def test_list_tells_tenants_rankers_versions_and_metrics(
    app: typer.Typer, bundles: list[Path], tmp_path: Path
) -> None:
    """Oldest first, with the time and the metrics of the manifest; `--tenant` narrows it."""
    first = published(app, tmp_path, bundles[0])
    second = published(app, tmp_path, bundles[1])
    run(app, "publish", bundles[0], "--store", tmp_path, "--tenant", "news", "--ranker", "front")
    rows = listed(app, tmp_path, "--tenant", "shop")
    assert [(row["ranker"], row["version"]) for row in rows] == [("default", first), ("default", second)]
    assert rows[0]["created"] == "2026-01-02T12:00:00+00:00"
    assert rows[0]["metrics"] == {"nDCG@10": 0.5}
    assert [row["tenant"] for row in listed(app, tmp_path)] == ["news", "shop", "shop"]


def test_list_for_people(
    app: typer.Typer, bundles: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table says which version serves, and its main metric."""
    monkeypatch.setattr("cli.console.out._width", 200)
    version = published(app, tmp_path, bundles[0], "--promote")
    line = next(line for line in run(app, "list", "--store", tmp_path).stdout.splitlines() if version in line)
    assert all(part in line for part in ("shop", "default", "yes", "nDCG@10 0.5000"))


def test_list_shows_a_broken_version_with_its_problem(
    app: typer.Typer, bundles: list[Path], tmp_path: Path
) -> None:
    """One bad bundle does not hide the others."""
    version = published(app, tmp_path, bundles[0])
    (tmp_path / "shop/default/versions/bad").mkdir()
    rows = listed(app, tmp_path)
    assert [row["version"] for row in rows] == ["bad", version]
    assert "no bundle" in str(rows[0]["problem"])
    assert rows[1]["problem"] == ""


def test_list_of_an_empty_store_is_empty(app: typer.Typer, tmp_path: Path) -> None:
    """A store that nobody has published to yet is no error."""
    assert listed(app, tmp_path / "none") == []


def test_what_goes_wrong_is_one_of_our_errors(app: typer.Typer, bundles: list[Path], tmp_path: Path) -> None:
    """The program prints them as one sentence and exits 2."""
    version = published(app, tmp_path, bundles[0], "--promote")
    where = ("--store", tmp_path, "--tenant", "shop")
    with pytest.raises(NotFound, match="no version 'beef'"):
        run(app, "promote", *where, "--version", "beef")
    with pytest.raises(Conflict, match=version):
        run(app, "promote", *where, "--version", version, "--expected", "")
    with pytest.raises(InvalidInput, match=r"tenant: '\.\./x' is no name"):
        run(app, "publish", bundles[0], "--store", tmp_path, "--tenant", "../x")
    with pytest.raises(NotFound, match="is no bundle"):
        run(app, "publish", tmp_path / "none", *where)
    with pytest.raises(NotFound, match=r"no tenant 'news'$"):
        run(app, "list", "--store", tmp_path, "--tenant", "news")


def test_check_prints_the_plan(app: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages in order with what they read and keep; a cut without effect is a warning, not an error."""
    monkeypatch.setattr("cli.console.out._width", 200)
    (tmp_path / "cascade.toml").write_text(GOOD)
    result = run(app, "check", tmp_path / "cascade.toml")
    assert result.exit_code == 0
    rows = [line for line in result.stdout.splitlines() if "fixed" in line or "linear" in line]
    assert "first" in rows[0]
    assert all(part in rows[1] for part in ("last", "linear", "stage.first", "10"))
    assert "$.stages[1].keep" in result.stderr


def test_check_for_machines(app: typer.Typer, tmp_path: Path) -> None:
    """`--json` holds the same plan."""
    (tmp_path / "cascade.toml").write_text(GOOD)
    plan = msgspec.json.decode(run(app, "check", tmp_path / "cascade.toml", "--json").stdout)
    assert [(row["name"], row["sees"], row["keep"]) for row in plan["stages"]] == [
        ("first", None, 10),
        ("last", 10, 10),
    ]
    assert len(plan["warnings"]) == 1


def test_check_names_the_path_of_a_mistake(app: typer.Typer, tmp_path: Path) -> None:
    """A typo is found by its path; a file that is not there, or not text, by its name."""
    file = tmp_path / "cascade.toml"
    file.write_text(GOOD.replace("keep", "kep", 1))
    with pytest.raises(InvalidConfig, match=r"^\$\.stages\[0\]: .*kep"):
        run(app, "check", file)
    file.write_text(GOOD.replace("stage.first", "stage.frist"))
    with pytest.raises(InvalidConfig, match=r"did you mean 'stage\.first'"):
        run(app, "check", file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(NotFound, match=r"cascade\.toml: is not UTF-8"):
        run(app, "check", file)
    with pytest.raises(NotFound, match=r"none\.toml: No such file"):
        run(app, "check", tmp_path / "none.toml")
