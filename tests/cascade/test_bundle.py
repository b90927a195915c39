"""A bundle gives back the ranker that was written, or says what is wrong with it; nothing in between."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from shutil import copytree
from typing import Any

import lightgbm
import msgspec
import numpy as np
import pytest

from cascade import golden
from cascade.bundle import Draft, load_ranker, open_bundle, write_bundle
from cascade.config import parse_config
from cascade.request import RankRequest
from cascade.testing import NOON, candidates, prices, request, write_tiny_bundle
from features.batch import CandidateBatch, Query
from features.columns import Column, keyword, number, text, timestamp, vector
from features.digests import digest
from features.errors import Conflict, Corrupt, InvalidConfig, NotFound, NotReady, SluiceError
from features.registry import FEATURES, kinds

FULL = """
[[features]]
kind = "centred"
name = "price"
field = "price"

[[stages]]
kind = "lambdamart"
keep = 3

[[stages]]
kind = "linear"
weights = { "price" = 1.0, "stage.lambdamart" = 0.5 }
"""


@pytest.fixture(scope="module", autouse=True)
def plug_in() -> Iterator[None]:
    """The feature kind `centred`, registered as an installed plug-in would be."""
    point = EntryPoint("centred", "cascade.testing:Centred", FEATURES)
    kinds(FEATURES)["centred"] = point
    yield
    del kinds(FEATURES)["centred"]


@pytest.fixture(scope="module")
def written(plug_in: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with a feature that has learned and a booster; not to be changed."""
    folder = tmp_path_factory.mktemp("written")
    write_bundle(folder / "bundle", draft(folder), NOON)
    return folder / "bundle"


@pytest.fixture
def bundle(written: Path, tmp_path: Path) -> Path:
    """A copy of it, to do harm to."""
    return Path(copytree(written, tmp_path / "bundle"))


def draft(folder: Path) -> Draft:
    """A draft of `FULL`, its booster trained on the learned feature."""
    config = parse_config(FULL)
    features = config.feature_set().prepare(prices([10, 20, 30]))
    files = folder / "files" / "lambdamart"
    files.mkdir(parents=True, exist_ok=True)
    values = np.arange(200, dtype=np.float32)[:, None]
    data = lightgbm.Dataset(values, np.arange(200) % 7, group=[20] * 10, feature_name=["price"])
    params = {"objective": "lambdarank", "verbose": -1, "num_threads": 1, "min_data_in_leaf": 2}
    lightgbm.train(params, data, 5).save_model(files / "model.txt")
    batch = prices([11, float("nan"), 60, 100, 190])
    metrics = {"nDCG@10": 0.75, "undefined": float("nan")}
    return Draft("shop", config, features, folder / "files", batch, metrics, {"collection": "made up"})


def forge(bundle: Path, path: str, change: Callable[[Any], Any]) -> None:
    """Change a JSON file of a bundle and make its manifest agree, as a foreign tool might."""
    file, manifest = bundle / path, bundle / "manifest.json"
    file.write_bytes(msgspec.json.encode(change(msgspec.json.decode(file.read_bytes()))))
    if path != "manifest.json":
        said = msgspec.json.decode(manifest.read_bytes())
        said["files"][path] = {"sha256": digest(file), "size": file.stat().st_size}
        manifest.write_bytes(msgspec.json.encode(said))


def test_what_was_written_ranks_again(bundle: Path, tmp_path: Path) -> None:
    """The loaded ranker computes the learned features and ranks; its version is the manifest's digest."""
    ranker = load_ranker(bundle, "shop")
    assert ranker.version == digest(bundle / "manifest.json")[:16]
    assert ranker.features.fingerprint == draft(tmp_path).features.fingerprint
    ranking = ranker.rank(RankRequest(prices([11, 100, 60])))
    assert not ranking.degraded
    assert set(ranking.placed_by) == {"linear"}
    assert ranking.matrix is not None
    assert ranking.matrix.column("price").tolist() == [-9, 80, 40]


def test_the_manifest_tells_what_it_is(bundle: Path) -> None:
    """Cascade, time, metrics that are defined, data, tools, and every file but itself."""
    manifest = open_bundle(bundle).manifest
    assert (manifest.cascade, manifest.created, manifest.metrics) == ("shop", NOON, {"nDCG@10": 0.75})
    assert manifest.data == {"collection": "made up"}
    assert {"python", "lightgbm", "numpy"} <= set(manifest.tools)
    assert sorted(manifest.files) == [
        "cascade.toml",
        "features/0.npz",
        "golden.json",
        "stages/lambdamart/model.txt",
    ]


def test_the_same_draft_at_the_same_time_is_the_same_version(tmp_path: Path) -> None:
    """Nothing in a bundle depends on when or where it is written, but for the time it is told."""
    made = draft(tmp_path)
    for name, when in (("one", NOON), ("two", NOON), ("later", NOON.replace(hour=13))):
        write_bundle(tmp_path / name, made, when)
    versions = [open_bundle(tmp_path / name).version for name in ("one", "two", "later")]
    assert versions[0] == versions[1] != versions[2]


FILES = ["cascade.toml", "features/0.npz", "golden.json", "stages/lambdamart/model.txt"]


@pytest.mark.parametrize("path", FILES)
def test_a_truncated_file_is_named(path: str, bundle: Path) -> None:
    """Half a file is found before anything reads it."""
    file = bundle / path
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(Corrupt, match=f"^{path}: has .* bytes instead of"):
        load_ranker(bundle, "shop")


@pytest.mark.parametrize("path", FILES)
def test_a_changed_byte_is_named(path: str, bundle: Path) -> None:
    """One bit of one file is enough."""
    data = bytearray((bundle / path).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / path).write_bytes(data)
    with pytest.raises(Corrupt, match=f"^{path}: has other bytes"):
        load_ranker(bundle, "shop")


@pytest.mark.parametrize("path", FILES)
def test_a_missing_file_is_named(path: str, bundle: Path) -> None:
    """A file that the manifest names has to be there."""
    (bundle / path).unlink()
    with pytest.raises(Corrupt, match=f"^{path}: is missing"):
        load_ranker(bundle, "shop")


@pytest.mark.parametrize("path", ["extra.txt", "stages/lambdamart/.hidden", "stages/other/model.txt"])
def test_an_extra_file_is_named(path: str, bundle: Path) -> None:
    """A file that the manifest does not account for was not written by training."""
    (bundle / path).parent.mkdir(exist_ok=True)
    (bundle / path).write_text("more")
    with pytest.raises(Corrupt, match=f"^{path}: is not in the manifest"):
        load_ranker(bundle, "shop")


def test_a_bundle_without_golden_queries_is_no_proof(bundle: Path) -> None:
    """A manifest that does not name the golden queries cannot do without them."""
    (bundle / "golden.json").unlink()
    forge(bundle, "manifest.json", lambda said: {**said, "files": without(said["files"], "golden.json")})
    with pytest.raises(Corrupt, match=r"^golden\.json: is missing"):
        load_ranker(bundle, "shop")


def without(files: dict[str, Any], name: str) -> dict[str, Any]:
    """All files but one."""
    return {path: entry for path, entry in files.items() if path != name}


def test_a_link_is_no_file(bundle: Path, tmp_path: Path) -> None:
    """A link might lead anywhere tomorrow, even where it leads to the right bytes today."""
    model = bundle / "stages/lambdamart/model.txt"
    model.rename(tmp_path / "model.txt")
    model.symlink_to(tmp_path / "model.txt")
    with pytest.raises(Corrupt, match="no plain file"):
        load_ranker(bundle, "shop")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": "one"}', '{"schema": 1}', "\udcff"])
def test_a_broken_manifest_is_corrupt(content: str, bundle: Path) -> None:
    """Whatever stands in its place, the answer is one sentence that names the manifest."""
    (bundle / "manifest.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(Corrupt, match=r"^manifest\.json"):
        open_bundle(bundle)


def test_no_manifest_is_no_bundle(bundle: Path) -> None:
    """The manifest is written last, so that a folder without one was never finished."""
    (bundle / "manifest.json").unlink()
    with pytest.raises(NotFound, match="no bundle"):
        open_bundle(bundle)


def test_a_newer_schema_is_refused_in_a_sentence(bundle: Path) -> None:
    """A bundle of tomorrow is not guessed at, even where its keys have changed."""
    (bundle / "manifest.json").write_text('{"schema": 2, "parts": []}')
    with pytest.raises(NotReady, match="has schema 2 and this Sluice reads up to 1; upgrade"):
        open_bundle(bundle)


def test_another_fingerprint_is_not_ready(bundle: Path) -> None:
    """Features that would compute other numbers than those the stages learned from are refused."""
    forge(bundle, "manifest.json", lambda said: {**said, "fingerprint": "0" * 64})
    with pytest.raises(NotReady, match=r"fingerprint .* and 0000000000000000 when it was trained"):
        load_ranker(bundle, "shop")


@pytest.mark.parametrize("stage", ["lambdamart", "linear"])
def test_golden_scores_that_do_not_reproduce_name_stage_and_query(stage: str, bundle: Path) -> None:
    """Digests may be right and the numbers wrong: another library, another machine."""

    def change(queries: Any) -> Any:
        queries[0]["scores"][stage][2] += 1e-3
        return queries

    forge(bundle, "golden.json", change)
    with pytest.raises(Corrupt, match=f"stage '{stage}' of golden query 'q' does not reproduce: .* for '2'"):
        load_ranker(bundle, "shop")


def test_a_stage_is_judged_on_the_features_that_were_recorded(bundle: Path) -> None:
    """A feature may move by the last bits of float32 with the machine; no tree's split may hang on that."""

    def change(queries: Any) -> Any:
        moved = np.float32(queries[0]["features"]["price"][0]) + np.float32(5e-4)
        queries[0]["features"]["price"][0] = float(moved)
        trees = queries[0]["scores"]["lambdamart"][0]
        queries[0]["scores"]["linear"][0] = float(np.float32(float(moved) + 0.5 * trees))
        return queries

    forge(bundle, "golden.json", change)
    load_ranker(bundle, "shop")


def test_golden_features_that_do_not_reproduce_name_the_feature(bundle: Path) -> None:
    """A feature that computes otherwise is told as the cause, not the stages that read it."""

    def change(queries: Any) -> Any:
        queries[0]["features"]["price"][0] += 0.1
        return queries

    forge(bundle, "golden.json", change)
    with pytest.raises(Corrupt, match="feature 'price' of golden query 'q' does not reproduce"):
        load_ranker(bundle, "shop")


@pytest.mark.parametrize(
    "change",
    [
        lambda queries: [{**queries[0], "scores": {}}],
        lambda queries: [{**queries[0], "features": {}}],
        lambda queries: [{**queries[0], "scores": {"lambdamart": [0.0], "linear": [0.0]}}],
        lambda queries: [{"id": "q"}],
        lambda queries: {},
    ],
)
def test_a_golden_file_of_another_shape_is_corrupt(change: Callable[[Any], Any], bundle: Path) -> None:
    """No recorded numbers are no proof that they reproduce."""
    forge(bundle, "golden.json", change)
    with pytest.raises(Corrupt, match=r"recorded numbers|golden\.json"):
        load_ranker(bundle, "shop")


def test_a_missing_number_must_stay_missing(bundle: Path) -> None:
    """NaN reproduces NaN and nothing else."""

    def change(queries: Any) -> Any:
        assert queries[0]["features"]["price"][1] is None
        queries[0]["features"]["price"][1] = 0.0
        return queries

    forge(bundle, "golden.json", change)
    with pytest.raises(Corrupt, match="nan instead of 0 for '1'"):
        load_ranker(bundle, "shop")


def test_a_stage_that_fails_on_an_unknown_candidate_is_found_before_the_first_request(
    tmp_path: Path,
) -> None:
    """One candidate without values goes through all stages; a stage that was told to fail does not load."""
    write_tiny_bundle(tmp_path / "tiny")
    source = (tmp_path / "tiny/cascade.toml").read_text()
    config = parse_config(source.replace("keep = 2", "keep = 2\nfail = true"))
    failing = Draft("tiny", config, config.feature_set(), tmp_path, candidates([]))
    with pytest.raises(SluiceError, match="told to fail"):
        write_bundle(tmp_path / "failing", replace(failing, golden=candidates(["a"])), NOON)
    write_empty = replace(failing, golden=CandidateBatch((), [], np.array([0])))
    write_bundle(tmp_path / "unproven", write_empty, NOON)
    with pytest.raises(NotReady, match="stage 'first' fails on a candidate without values"):
        load_ranker(tmp_path / "unproven", "tiny")


def test_a_directory_that_holds_anything_is_not_written_to(tmp_path: Path) -> None:
    """A bundle is never mixed with what was there."""
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle/notes.txt").write_text("mine")
    with pytest.raises(Conflict, match="not empty"):
        write_tiny_bundle(tmp_path / "bundle")


def test_a_bundle_whose_stages_do_not_load_is_never_finished(tmp_path: Path) -> None:
    """Without its model there is no manifest, and so no bundle."""
    with pytest.raises(NotReady, match=r"no model\.txt"):
        write_bundle(tmp_path / "bundle", replace(draft(tmp_path), stage_files=tmp_path / "none"), NOON)
    with pytest.raises(NotFound):
        open_bundle(tmp_path / "bundle")


def test_a_stage_that_reads_nothing_that_is_there_is_refused(tmp_path: Path) -> None:
    """The plan is checked when a bundle is written."""
    config = parse_config('[[stages]]\nkind = "linear"\nweights = { pricee = 1.0 }')
    with pytest.raises(InvalidConfig, match=r"^\$\.stages\[0\]: stage 'linear' reads 'pricee'"):
        write_bundle(tmp_path / "b", replace(draft(tmp_path), config=config), NOON)


def test_every_kind_of_column_survives_as_golden_input() -> None:
    """Texts, keywords, numbers, times and vectors come back as they were, missing values too."""
    nan = float("nan")
    columns = {
        "text": text(["a – ß", None]),
        "tags": keyword([("x", "y"), ()]),
        "number": number([0.1, nan]),
        "time": timestamp([1.7e9 + 0.123456, nan]),
        "vector": vector(np.array([[0.1, -0.2], [nan, nan]])),
        "none": vector(np.empty((2, 0))),
    }
    values = {"locale": "de", "age": 3.0, "tags": ("a", "b")}
    query = Query("what", values, {"v": np.array([0.1, 1e-9], np.float32)}, "7")
    batch = CandidateBatch((query,), ["a", "b"], np.array([0, 2]), columns)
    made = golden.Made(parse_config(TINY_LINEAR).feature_set().compute(batch), {})
    back = golden.load(msgspec.convert(msgspec.to_builtins(golden.dump(batch, made)), golden.GoldenQuery))
    assert back.queries[0].values == values
    assert back.queries[0].vectors["v"].tobytes() == query.vectors["v"].tobytes()
    assert {name: plain(column) for name, column in back.columns.items()} == {
        name: plain(column) for name, column in columns.items()
    }


TINY_LINEAR = '[[stages]]\nkind = "fixed"'


def plain(column: Column) -> object:
    """A column, comparable to the bit."""
    values = column.values
    if isinstance(values, np.ndarray):
        return column.kind, values.dtype, values.shape, values.tobytes()
    return column.kind, values


def test_a_sample_takes_the_first_queries_that_have_candidates() -> None:
    """Golden queries are few and short, and each has something to score."""
    queries = tuple(Query(str(i), id=str(i)) for i in range(4))
    batch = CandidateBatch(queries, list("abcdefg"), np.array([0, 0, 4, 6, 7]))
    part = golden.sample(batch, queries=2, candidates=3)
    assert [query.id for query in part.queries] == ["1", "2"]
    assert list(part.ids) == ["a", "b", "c", "e", "f"]
    assert part.offsets.tolist() == [0, 3, 5]


def test_a_tiny_bundle_ranks(tmp_path: Path) -> None:
    """The stand-in that other tests publish is a bundle like any other."""
    ranker = load_ranker(write_tiny_bundle(tmp_path / "tiny"), "tiny")
    assert ranker.rank(request(["a", "b", "c"])).rows.tolist() == [1, 2, 0]
