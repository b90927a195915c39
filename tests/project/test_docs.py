"""What is documented exists, and what exists is documented."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cascade.check import plan
from cascade.config import parse_config
from cli.main import COMMANDS, app
from features.registry import FEATURES, kinds

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "ARCHITECTURE.md",
    ROOT / "CONTRIBUTING.md",
    *(ROOT / "docs").glob("*.md"),
]


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(("group", "page"), [(FEATURES, "features"), ("sluice.stages", "stages")])
def test_every_kind_is_documented(group: str, page: str) -> None:
    """Each registered kind has a row in the table of its page."""
    rows = set(re.findall(r"^\| `(\w+)` \|", text(f"docs/{page}.md"), re.MULTILINE))
    assert set(kinds(group)) <= rows


def test_help_teaches_every_command() -> None:
    """`sluice --help` lists each command in its order of use, with a line that 80 columns hold."""
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}, terminal_width=80).output
    lines = shown[shown.index("Commands:") :].splitlines()[1:]
    listed = [[name, told] for name, (_, told) in COMMANDS.items()]
    assert [line.split(maxsplit=1) for line in lines if line] == listed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of the documentation names a file of the repository."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_architecture_names_files_that_exist() -> None:
    """The map names no file or folder that is not there."""
    named = re.findall(
        r"`((?:features|cascade|training|serving|proto|cli)/[\w/.]*)`", text("ARCHITECTURE.md")
    )
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("file", sorted((ROOT / "examples").glob("*.toml")), ids=lambda file: file.stem)
def test_examples_can_run(file: Path) -> None:
    """Every example is a cascade with a plan, not only TOML."""
    found = plan(parse_config(file.read_text(encoding="utf-8")))
    assert found.features
    assert found.stages
