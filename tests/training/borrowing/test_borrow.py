"""One tenant's bundle: what was chosen, with the base's own bytes where it borrows."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

from cascade.bundle import load_ranker
from cascade.config import CascadeConfig
from cascade.manifest import Manifest, read_manifest
from cascade.request import RankRequest
from cascade.stages.lambdamart import MODEL, RESIDUAL, WEIGHT
from cascade.store import DirectoryStore
from features.errors import InvalidInput, NotReady
from training.borrowing.base import Base, open_base
from training.borrowing.borrow import Borrowed, borrow_and_publish
from training.borrowing.choose import Settings
from training.borrowing.members import documents_of
from training.borrowing.testing import write_shop
from training.collection import Collection, read_collection
from training.publish import Target, Task
from training.trainers import Context

Borrow = Callable[[str, Collection], Borrowed]


@pytest.fixture
def borrow(store: DirectoryStore, base: Base, config: CascadeConfig, noon: datetime) -> Borrow:
    """Fits and publishes a tenant's ranker."""

    def make(tenant: str, collection: Collection) -> Borrowed:
        task = Task(config, collection, "judged")
        return borrow_and_publish(task, Target(store, tenant, "default"), base, Settings(), Context(), noon)

    return make


def manifest(store: DirectoryStore, tenant: str, made: Borrowed) -> Manifest:
    """Of what was published."""
    return read_manifest(store.path(tenant, "default", made.version)).manifest


def test_a_tenant_of_another_taste_borrows(
    store: DirectoryStore, base: Base, borrow: Borrow, tmp_path: Path
) -> None:
    """The bundle has the base's booster byte by byte and a residual beside it, and loads."""
    made = borrow("rated", read_collection(write_shop(tmp_path / "rated", 60, (1.0, 0.7), seed=3)))
    assert made.choice.kind == "residual"
    folder = store.path("rated", "default", made.version) / "stages" / "trees"
    assert (folder / MODEL).read_bytes() == (base.stages / "trees" / MODEL).read_bytes()
    assert {path.name for path in folder.iterdir()} == {MODEL, RESIDUAL, WEIGHT}
    ranker = load_ranker(folder.parents[1], "default")
    assert ranker.features.fingerprint == base.ranker.features.fingerprint
    stage = ranker.steps[-1].stage
    assert stage.residual.weight == made.choice.weight  # type: ignore[attr-defined]


def test_the_manifest_tells_what_was_chosen_and_whose_labels_went_in(
    store: DirectoryStore, base: Base, borrow: Borrow, tmp_path: Path
) -> None:
    """Kind, weight, three figures with intervals, the base's version, and both tenants as sources."""
    made = borrow("told", read_collection(write_shop(tmp_path / "told", 60, (1.0, 0.7), seed=3)))
    found = manifest(store, "told", made)
    told = found.data["borrowing"]
    assert told["base"] == base.name == f"lender/default@{base.bundle.version}"
    assert (told["kind"], told["weight"]) == ("residual", made.choice.weight)
    assert set(told["figures"]) == {"base", "residual", "own"}
    assert all(each["low"] <= each["mean"] <= each["high"] for each in told["figures"].values())
    assert [each["tenant"] for each in found.data["sources"]] == ["lender", "told"]
    assert found.metrics == {"nDCG@10": told["figures"]["residual"]["mean"]}


def test_a_tenant_without_queries_gets_the_base(
    store: DirectoryStore, base: Base, borrow: Borrow, tmp_path: Path
) -> None:
    """Documents alone: the base's stages, its labels as the only source, golden candidates of its own."""
    made = borrow("fresh", documents_of(write_shop(tmp_path / "fresh", 0)))
    found = manifest(store, "fresh", made)
    assert (made.choice.kind, found.data["sources"][0]["tenant"]) == ("base", "lender")
    folder = store.path("fresh", "default", made.version)
    assert {path.name for path in (folder / "stages" / "trees").iterdir()} == {MODEL}
    golden = msgspec.json.decode((folder / "golden.json").read_bytes())
    assert len(golden[0]["ids"]) == 8
    batch = base.ranker.features, load_ranker(folder, "default")
    collection = documents_of(tmp_path / "fresh")
    candidates = collection.documents.batch(batch[0].inputs)
    ours, theirs = (ranker.rank(RankRequest(candidates)) for ranker in (batch[1], base.ranker))
    assert (ours.rows == theirs.rows).all()
    np.testing.assert_array_equal(ours.scores, theirs.scores)


def test_the_same_run_gives_the_same_version(borrow: Borrow, tmp_path: Path) -> None:
    """Choice and bundle follow from data, seed and date alone."""
    folder = write_shop(tmp_path / "again", 40, (1.0, 0.7), seed=3)
    assert (
        borrow("again", read_collection(folder)).version == borrow("again", read_collection(folder)).version
    )


def test_a_base_is_not_judged_by_labels_it_learned_from(borrow: Borrow, base: Base, tmp_path: Path) -> None:
    """The lender's own collection, under whatever name, is refused with the way out."""
    folder = write_shop(tmp_path / "lender", 120, seed=9)
    with pytest.raises(InvalidInput, match="has learned from the labels of 'lender'"):
        borrow("lender", read_collection(folder))
    with pytest.raises(InvalidInput, match="sluice train-base"):
        borrow("copycat", read_collection(folder))


def test_a_base_does_not_take_its_own_place(borrow: Borrow, tmp_path: Path) -> None:
    """The lender with documents alone would get a copy of itself; that is refused."""
    with pytest.raises(InvalidInput, match="would take its own place"):
        borrow("lender", documents_of(write_shop(tmp_path / "lender", 0)))


def test_a_borrower_is_no_base(store: DirectoryStore, borrow: Borrow, tmp_path: Path) -> None:
    """Residuals are not stacked: the base of the borrower is named instead."""
    made = borrow("middle", read_collection(write_shop(tmp_path / "middle", 60, (1.0, 0.7), seed=3)))
    assert made.choice.kind == "residual"
    with pytest.raises(NotReady, match="borrows from lender/default@"):
        open_base(store, f"middle/default@{made.version}")


@pytest.mark.parametrize("name", ["", "Lender", "lender/../x", "lender/default@", "a/b/c"])
def test_names_of_bases_are_checked(name: str, store: DirectoryStore) -> None:
    """What cannot be a name is refused before the store is looked at."""
    with pytest.raises(InvalidInput) as caught:
        open_base(store, name)
    assert caught.value.path == "--base"
