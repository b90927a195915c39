"""The demo collection as three tenants: a base, a run that is killed, and the same command again."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cascade.bundle import load_ranker
from cascade.store import DirectoryStore
from training.stdlib import write

CASCADE = """
[[features]]
name = "words"
kind = "bm25f"
stem = true
fields = { title = 2.0, text = 1.0 }

[[features]]
kind = "overlap"
field = "title"

[[features]]
name = "length"
kind = "numeric"
field = "length"

[[stages]]
name = "trees"
kind = "lambdamart"
train = { trees = 20, leaves = 5, min_in_leaf = 5, early_stopping = 0, folds = 3 }
"""
TENANTS = ("blue", "green", "red")
DIES = """
import os, signal, sys
from cli.main import main
from training.borrowing import run

known = []

def outcome(tenant, *rest):
    known.append(tenant)
    if len(known) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(tenant, *rest)

real, run.outcome = run.outcome, outcome
sys.argv[0] = "sluice"
main()
"""
"""`sluice`, killed when the second tenant is published and not yet written down."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection whose train queries belong to three tenants in turn, and a cascade."""
    root: Path = tmp_path_factory.mktemp("journey")
    data = write(root / "stdlib")
    (path,) = data.glob("queries.train.jsonl*")
    lines = read(path)
    path.unlink()
    named = [line | {"shop": TENANTS[place % 3]} for place, line in enumerate(lines)]
    (data / "queries.train.jsonl").write_text("\n".join(map(json.dumps, named)))
    (root / "cascade.toml").write_text(CASCADE)
    return root


def read(path: Path) -> list[dict[str, object]]:
    """JSON lines, packed or not."""
    from training.files import lines

    return [json.loads(line) for _, line in lines(path)]


def sluice(folder: Path, arguments: str, program: str = "from cli.main import main; main()") -> None:
    """One command, run in the folder; what it says where it fails.

    Raises:
        CalledProcessError: if it fails, or a signal ends it.
    """
    command = [sys.executable, "-c", program, *arguments.split()]
    made = subprocess.run(command, cwd=folder, capture_output=True, timeout=280, text=True)
    sys.stderr.write(made.stderr)
    made.check_returncode()


def test_a_killed_run_goes_on(folder: Path) -> None:
    """What was done is left alone, what was published is not published twice, and all three serve."""
    shared = "--collection stdlib --candidates bm25:20 --store store --config cascade.toml"
    sluice(folder, "tenants add platform --store store --share-with-base")
    sluice(folder, f"train {shared} --queries dev --tenant platform --promote")
    run = f"train-tenants {shared} --queries train --by shop --base platform --work work --jobs 1 --promote"
    with pytest.raises(subprocess.CalledProcessError) as killed:
        sluice(folder, run, DIES)
    assert killed.value.returncode == -signal.SIGKILL
    store = DirectoryStore(folder / "store")
    assert store.tenants() == ("blue", "green", "platform")
    done = {path: path.read_bytes() for path in (folder / "work" / "tenants").glob("blue*.json")}
    versions = {tenant: store.versions(tenant, "default") for tenant in ("blue", "green")}

    sluice(folder, f"{run} --json out.json")
    told = {each["tenant"]: each for each in json.loads((folder / "out.json").read_text())["tenants"]}
    assert sorted(told) == sorted(TENANTS)
    assert {path: path.read_bytes() for path in done} == done
    assert {tenant: store.versions(tenant, "default") for tenant in versions} == versions
    for tenant in TENANTS:
        assert store.promotion(tenant, "default").version == told[tenant]["version"]
        load_ranker(store.path(tenant, "default"), "default")
