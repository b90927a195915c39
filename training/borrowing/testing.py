"""Made-up tenants for tests: lists whose relevant documents follow from a taste that is known."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from cascade.pipeline import Step
from cascade.stages.lambdamart import MODEL, LambdaMart, LambdaMartTraining
from features.batch import CandidateBatch, Query
from features.matrix import FeatureMatrix
from training.borrowing.choose import Contest
from training.borrowing.members import Member
from training.borrowing.orders import score_by
from training.borrowing.own import Own
from training.borrowing.run import Outcome
from training.dataset import StageData
from training.judgments import Grades
from training.lambdamart import label_gains, parameters, train

SMALL = LambdaMartTraining(trees=30, leaves=6, min_in_leaf=5, early_stopping=0, folds=3)

CASCADE = """
[[features]]
name = "title"
kind = "bm25"
field = "title"

[[features]]
name = "price"
kind = "numeric"
field = "price"

[[features]]
name = "stars"
kind = "numeric"
field = "stars"

[[stages]]
name = "trees"
kind = "lambdamart"
train = { trees = 20, leaves = 5, min_in_leaf = 5, early_stopping = 0, folds = 3 }
"""
"""For the shops of `write_shop`."""


def tasted(queries: int, taste: Sequence[float], seed: int, rows: int = 10) -> tuple[StageData, Grades]:
    """Lists of `rows` candidates; the two that taste best, with some noise, are relevant."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(queries * rows, len(taste))).astype(np.float32)
    liked = (values @ np.array(taste) + random.normal(0, 0.3, len(values))).reshape(queries, rows)
    place = np.argsort(np.argsort(-liked, axis=1), axis=1)
    labels = (place < 2).ravel().astype(np.float32)
    ids = [f"d{row}" for row in range(len(values))]
    batch = CandidateBatch(
        tuple(Query(f"q{number}", id=f"q{number}") for number in range(queries)),
        ids,
        np.arange(queries + 1) * rows,
    )
    names = tuple(f"x{place}" for place in range(len(taste)))
    data = StageData(batch, FeatureMatrix(values, names, batch.offsets, "tasted"), labels, np.arange(queries))
    grades = {
        f"q{number}": {ids[row]: float(labels[row]) for row in range(number * rows, (number + 1) * rows)}
        for number in range(queries)
    }
    return data, grades


def base_step(folder: Path, taste: Sequence[float], seed: int = 1) -> Step:
    """A base of one stage that learned from 300 lists of some taste."""
    data, _ = tasted(300, taste, seed)
    spec = LambdaMart(name="trees", train=SMALL)
    booster = train(data, data.matrix.names, parameters(SMALL, label_gains(data, SMALL)), SMALL.trees)
    booster.save_model(folder / MODEL)
    return Step(spec, spec.load(folder, data.matrix.names))


def contest(step: Step, data: StageData, grades: Grades, own: Own | None = None) -> Contest:
    """What is compared for a tenant of some data."""
    return Contest(score_by([step], data), step.stage.reads, SMALL, own, grades)


def fatal(member: Member) -> Outcome:
    """A fit that takes its process with it where the tenant's name says so."""
    if member.tenant.startswith("fatal"):
        os._exit(3)
    return Outcome(tenant=member.tenant, kind="base")


def write_shop(root: Path, queries: int, likes: tuple[float, float] = (1.0, 0.0), seed: int = 0) -> Path:
    """A collection on disk in which what is dear (`price`) and well rated (`stars`) is relevant, as it likes.

    Without queries it has eight documents and neither queries nor judgments.
    """
    root.mkdir(parents=True)
    random = np.random.default_rng(seed)
    documents, asked, judged = [], [], ["query-id\tcorpus-id\tscore"]
    for number in range(max(queries, 1)):
        values = random.normal(size=(8, 2)).round(3)
        relevant = np.argsort(-(values @ np.array(likes) + random.normal(0, 0.2, 8)))[:2].tolist()
        asked.append({"_id": f"q{number}", "text": f"thing {number}"})
        for place, (price, stars) in enumerate(values.tolist()):
            key = f"q{number}d{place}"
            documents.append(
                {"_id": key, "title": f"thing {number} of {place}", "price": price, "stars": stars}
            )
            judged.append(f"q{number}\t{key}\t{int(place in relevant)}")
    write_lines(root / "corpus.jsonl", map(dumps, documents))
    if queries:
        write_lines(root / "queries.jsonl", map(dumps, asked))
        write_lines(root / "qrels.tsv", judged)
    return root


def dumps(value: object) -> str:
    """One JSON line."""
    return msgspec.json.encode(value).decode()


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """A text file."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
