"""What a ranker is reckoned to hold."""

from pathlib import Path

import pytest

from cascade.manifest import CONFIG, GOLDEN, open_bundle
from cascade.memory_store import MemoryStore
from cascade.testing import write_tiny_bundle
from serving.rankers.weigh import OVERHEAD, budget_bytes, by_manifest, loaded_bytes, memory_bytes


def test_a_bundle_is_weighed_by_its_files(tmp_path: Path) -> None:
    """Each file under its digest, so that tenants share it; what is read and forgotten weighs nothing."""
    store = MemoryStore()
    bundle = write_tiny_bundle(tmp_path / "bundle")
    one, two = (store.publish(tenant, "main", bundle) for tenant in ("a", "b"))
    first, second = (by_manifest(store, (tenant, "main", one)) for tenant in ("a", "b"))
    assert one == two
    files = open_bundle(bundle).manifest.files
    assert first[files[CONFIG].sha256] == first[files[GOLDEN].sha256] == 0
    assert len(first.keys() & second.keys()) == len(files)
    assert sum(first.values()) == OVERHEAD


def test_files_weigh_more_in_memory() -> None:
    """Graphs and tokenizers above all; a file of a kind that is not known weighs what it is."""
    assert loaded_bytes("stages/ce/model.onnx", 100) == 360
    assert loaded_bytes("stages/ce/model.onnx", 100_000_000) == 250_000_000
    assert loaded_bytes("stages/ce/tokenizer.json", 100) == 2_000
    assert loaded_bytes("stages/l/model.txt", 100) == 120
    assert loaded_bytes("features/0.npz", 100) == loaded_bytes("stages/x/any.bin", 100) == 100


@pytest.mark.parametrize(("limit", "bound"), [("1000000\n", 1_000_000), ("max\n", None), (None, None)])
def test_the_memory_there_is(tmp_path: Path, limit: str | None, bound: int | None) -> None:
    """The container's limit where there is one, else the machine's; half of it is for rankers."""
    file = tmp_path / "memory.max"
    if limit is not None:
        file.write_text(limit)
    found = memory_bytes(file)
    assert found == bound if bound else found > 1_000_000
    assert budget_bytes(5) == 5_000_000
    assert 0 < budget_bytes(0) <= memory_bytes()
