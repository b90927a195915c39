"""`sluice documents`, as a person or a script uses it."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from cascade.bundle import Draft, write_bundle
from cascade.config import parse_config
from cascade.store import DirectoryStore
from cascade.testing import NOON, candidates
from cli.main import app
from features.columns import number
from features.errors import InvalidInput, NotFound, SluiceError

CASCADE = """
[[features]]
kind = "numeric"
name = "price"
field = "price"

[[features]]
kind = "length"
name = "title"
field = "title"

[[stages]]
kind = "linear"
weights = { price = 1.0 }
"""


def run(*arguments: object) -> Result:
    """The result of a command line; what the program would catch is raised."""
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    if isinstance(result.exception, SluiceError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store whose tenant `shop` has a ranker that reads a price and a title."""
    config = parse_config(CASCADE)
    golden = candidates(["a"], {"price": number([1.0])})
    write_bundle(tmp_path / "bundle", Draft("default", config, config.feature_set(), tmp_path, golden), NOON)
    made = DirectoryStore(tmp_path / "store")
    made.promote("shop", "default", made.publish("shop", "default", tmp_path / "bundle"))
    return made.root


def parquet(folder: Path, **columns: object) -> Path:
    pq.write_table(pa.table(columns), folder / "documents.parquet")
    return folder / "documents.parquet"


def test_load_show_and_remove(store: Path, tmp_path: Path) -> None:
    """The whole life of a table; what a promoted ranker will not find in it is noted."""
    whose = ("--store", store, "--tenant", "shop")
    loaded = run("documents", "load", parquet(tmp_path, sku=[1, 2], price=[1.0, 2.0]), "--id", "sku", *whose)
    assert "also reads title" in loaded.stderr
    assert "2 documents" in loaded.stdout
    more = parquet(tmp_path, sku=["2", "3"], price=[9.0, None])
    notes = json.loads(run("documents", "load", more, "--id", "sku", "--upsert", "--json", *whose).stdout)
    assert (notes["rows"], notes["columns"]) == (3, {"price": {"kind": "number"}})
    shown = [json.loads(line) for line in run("documents", "show", "1", "2", *whose).stdout.splitlines()]
    assert shown == [{"id": "1", "price": 1.0}, {"id": "2", "price": 9.0}]
    assert "price" in run("documents", "show", *whose).stdout
    (tmp_path / "ids").write_text("2\n\nnobody\n")
    assert run("documents", "remove", "1", "--ids", tmp_path / "ids", *whose).stdout.strip() == "2"
    with pytest.raises(NotFound, match="no document '2'"):
        run("documents", "show", "2", *whose)
    run("documents", "remove", "--all", *whose)
    with pytest.raises(NotFound, match="no document table"):
        run("documents", "show", *whose)
    actions = [entry.action for entry in DirectoryStore(store).audit("shop")]
    assert actions[-4:] == ["documents-load", "documents-upsert", "documents-remove", "documents-drop"]


def test_columns_that_a_ranker_cannot_read(store: Path, tmp_path: Path) -> None:
    """They are refused by column and ranker, unless forced."""
    whose, file = ("--store", store, "--tenant", "shop"), parquet(tmp_path, id=["a"], price=["cheap"])
    with pytest.raises(InvalidInput, match="price: is a text column where 'default' reads a number"):
        run("documents", "load", file, *whose)
    with pytest.raises(NotFound, match="no document table"):
        run("documents", "show", *whose)
    run("documents", "load", file, "--force", *whose)


def test_what_to_remove_has_to_be_said(store: Path) -> None:
    """Nothing, and everything as well as something, are refused."""
    whose = ("--store", store, "--tenant", "shop")
    for arguments in ((), ("a", "--all")):
        with pytest.raises(InvalidInput, match="only one of these"):
            run("documents", "remove", *arguments, *whose)
