"""The code of the README runs as it stands."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from cascade.names import DEFAULT
from serving.testing import running, target
from training.collection import Collection
from training.documents import Documents
from training.embedded.ranker import embedded_ranker

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_client_example_ranks(capsys: pytest.CaptureFixture[str]) -> None:
    """Against a real server with the shipped weights it prints the right answer first."""
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    documents = Documents({"any": 0}, [{"title": "any", "text": "Any document."}])
    ranker = replace(embedded_ranker(Collection(documents, {}, {})), name=DEFAULT)
    with running(ranker) as server:
        exec(example.replace("127.0.0.1:50051", target(server)), {})
    printed = capsys.readouterr().out.splitlines()
    lines = [line for line in printed if line.startswith("shutil.")]  # the server logs beside it
    assert [line.split()[0] for line in lines] == ["shutil.copytree", "shutil.copy"]
    assert all(line.endswith("cross_encoder") for line in lines)
