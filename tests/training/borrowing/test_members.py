"""The tenants of one run and their collections."""

import json
from pathlib import Path

import pytest

from features.errors import InvalidInput, NotFound
from training.borrowing.members import by_field, in_folder, opened
from training.borrowing.testing import write_shop


def test_a_folder_of_folders(tmp_path: Path) -> None:
    """A tenant a folder, sorted; one without queries has documents alone; files beside them are nobody."""
    write_shop(tmp_path / "bees", 3)
    write_shop(tmp_path / "ants", 0)
    (tmp_path / "notes.txt").write_text("nobody")
    ants, bees = in_folder(tmp_path, "")
    assert (ants.tenant, bees.tenant) == ("ants", "bees")
    assert len(ants.collection().documents) == 8
    assert not ants.collection().queries
    assert list(bees.collection().queries) == ["q0", "q1", "q2"]


@pytest.mark.parametrize("name", ["Shop", "a b", ".hidden", "x" * 64])
def test_a_folder_that_no_tenant_can_be_called(name: str, tmp_path: Path) -> None:
    """It is a member with a problem, so that the others go on."""
    (tmp_path / name).mkdir()
    (member,) = in_folder(tmp_path, "")
    assert "is no name" in member.problem


def test_a_folder_without_tenants(tmp_path: Path) -> None:
    """Nothing to do is an error that says what is wanted."""
    with pytest.raises(NotFound, match="a collection for each tenant"):
        in_folder(tmp_path, "")


def test_one_collection_cut_by_a_field(tmp_path: Path) -> None:
    """Each value of the field is a tenant with its own queries over all documents, and its own digest."""
    folder = write_shop(tmp_path / "mall", 6)
    lines = [json.loads(line) for line in (folder / "queries.jsonl").read_text().splitlines()]
    lines = [line | {"shop": "ants" if place < 4 else "bees"} for place, line in enumerate(lines)]
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, lines)))
    opened.cache_clear()
    ants, bees = by_field(folder, "", "shop")
    assert list(ants.collection().queries) == ["q0", "q1", "q2", "q3"]
    assert list(bees.collection().grades) == ["q4", "q5"]
    assert len(bees.collection().documents) == 48
    assert len({ants.collection().digest, bees.collection().digest, opened(str(folder), "").digest}) == 3


def test_a_field_that_is_not_there(tmp_path: Path) -> None:
    """The fields there are get named."""
    folder = write_shop(tmp_path / "mall", 2)
    opened.cache_clear()
    with pytest.raises(InvalidInput, match="no query has a text field 'shop'; there are none"):
        by_field(folder, "", "shop")
