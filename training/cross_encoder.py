"""Fits a `cross_encoder` stage: as it comes, or fine-tuned listwise on what earlier stages let through."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from cascade.stages.cross_encoder import CrossEncoder
from cascade.stages.embedded import EMBEDDED, embedded_model
from features.columns import Floats, Rows
from features.errors import InvalidConfig, InvalidInput, NotReady
from features.transformer.model import MODEL, copy_model
from training.dataset import StageData, rows_of
from training.lists import Draws, held_of, parted
from training.teacher import read_teacher
from training.trainers import Context, Metrics
from training.tuning.curve import Held

if TYPE_CHECKING:
    from training.export.checkpoint import Checkpoint
    from training.export.judging import Judged
    from training.tuning.settings import Tuning

EXPORTING = ("onnx", "safetensors")
TRAINING = ("torch", *EXPORTING)
CALIBRATION_QUERIES = 48
CALIBRATION_DEPTH = 8
SIZES = ("num_hidden_layers", "hidden_size", "intermediate_size")


def ready(spec: CrossEncoder) -> None:
    """The weights exist, and so do the teacher and the packages that fine-tuning needs.

    Raises:
        InvalidConfig: if `weights` names no model.
        InvalidInput: if the teacher's file cannot be right.
        NotReady: if a package is missing.
    """
    exported = (source(spec) / MODEL).is_file()
    needed = TRAINING if learns(spec) else () if exported else EXPORTING
    absent = [name for name in needed if find_spec(name) is None]
    if absent:
        raise NotReady(
            f"needs {', '.join(absent)}: pip install 'sluice[train]', or set train.epochs = 0 to use the"
            " embedded weights as they are",
            path=f"{spec.name}.train.epochs",
        )
    if spec.train.teacher:
        read_teacher(Path(spec.train.teacher))


def learns(spec: CrossEncoder) -> bool:
    """Only where it is fine-tuned."""
    return spec.train.epochs > 0


def fit(spec: CrossEncoder, data: StageData, directory: Path, context: Context) -> Metrics:
    """Write `model.onnx`, `tokenizer.json` and `model.json`; tell the held-out curve and the parity.

    Raises:
        InvalidConfig: if `weights` names no model.
        InvalidInput: if there is nothing to learn from, or a teacher that says nothing of the candidates.
        Conflict: if the work folder is of another training.
    """
    if not learns(spec) and (source(spec) / MODEL).is_file():
        copy_model(source(spec), directory)
        return {"weights": spec.weights, "epochs": 0}
    return fine_tuned(spec, data, directory, context)


def source(spec: CrossEncoder) -> Path:
    """The directory where training starts."""
    found = embedded_model() if spec.weights == EMBEDDED else Path(spec.weights)
    if not found.is_dir():
        raise InvalidConfig(
            f"no directory {spec.weights!r}; name a checkpoint, or {EMBEDDED!r}", path=f"{spec.name}.weights"
        )
    return found


def fine_tuned(spec: CrossEncoder, data: StageData, directory: Path, context: Context) -> Metrics:
    """Fine-tune and export. Imports torch here, so that no one else needs it."""
    from training.export import export

    documents = spec.documents(data.batch)
    checkpoint, told = start_of(spec), dict[str, Any]()
    if learns(spec):
        checkpoint, told = learned(spec, checkpoint, data, documents, context)
    report = export(
        checkpoint,
        directory,
        calibration(data, documents),
        judged=None if context.draft else judged(data, documents),
        max_tokens=spec.max_tokens,
        query_tokens=spec.query_tokens,
        source=spec.weights,
        track=context.track,
    )
    return {
        "weights": spec.weights,
        **told,
        "variant": report.variant,
        "refused": list(report.refused),
        "parity": msgspec.to_builtins(report.parity[report.variant]),
        "bytes": report.bytes,
    }


def start_of(spec: CrossEncoder) -> "Checkpoint":
    """The checkpoint where training starts, made smaller where a student is declared.

    Raises:
        InvalidInput: for a checkpoint that cannot be read.
        InvalidConfig: for a student that is larger than its start.
    """
    from training.export import read_checkpoint
    from training.export.restore import restore
    from training.tuning.students import Shape, shrink

    start = source(spec)
    checkpoint = restore(start) if (start / MODEL).is_file() else read_checkpoint(start)
    shape = Shape(spec.train.layers, spec.train.inner, spec.train.hidden)
    return shrink(checkpoint, shape, f"{spec.name}.train")


def learned(
    spec: CrossEncoder, checkpoint: "Checkpoint", data: StageData, documents: list[str], context: Context
) -> tuple["Checkpoint", dict[str, Any]]:
    """The fine-tuned checkpoint, and what there is to tell of it.

    Raises:
        InvalidInput: if no candidate is relevant and no teacher knows any.
    """
    from training.fine_tune import Hooks, fine_tune
    from training.packed_bert import tokenizer_of
    from training.tuning.devices import device_here
    from training.tuning.models import trainable, trained

    known = taught(spec, data, documents)
    draws, held = lists(spec, data, documents, known, context)
    model = trainable(checkpoint, spec.train.seed)
    name = f"{spec.name}: fine-tuning"
    hooks = Hooks(context.track, name, device_here(), context.work)
    tuned = fine_tune(model, draws, tokenizer_of(checkpoint), tuning_of(spec, data), hooks, held)
    tail = tuned.losses[-max(1, len(tuned.losses) // 10) :]
    told = {
        "steps": len(tuned.losses),
        "planned": tuned.planned,
        "kept": tuned.kept,
        "loss": float(np.mean(tail)),
        "held_out_queries": len(held.lists) if held else 0,
        "curve": msgspec.to_builtins(tuned.curve),
        "student": {key: checkpoint.config.get(key) for key in SIZES},
        "taught": None if known is None else float(np.isfinite(known).mean()),
    }
    return trained(model, checkpoint), told


def taught(spec: CrossEncoder, data: StageData, documents: list[str]) -> Floats | None:
    """float32[n]: the teacher's scores along the rows; None without a teacher.

    Raises:
        InvalidInput: if the teacher knows no two candidates of any query, or only ranks where margins count.
    """
    training = spec.train
    if not training.teacher or training.teacher_weight == 0:
        return None
    teacher = read_teacher(Path(training.teacher))
    if teacher.ranked and training.loss not in ("listnet", "ranknet"):
        message = f"has ranks alone, of which {training.loss!r} makes nothing; set loss to listnet or ranknet"
        raise InvalidInput(message, path=training.teacher)
    known = teacher.along(data.batch, documents)
    counts = np.bincount(data.batch.query_of_row[np.isfinite(known)], minlength=1)
    if counts.max() < 2:
        message = f"knows no two candidates of any query ({len(teacher)} pairs by {teacher.query_by} and"
        raise InvalidInput(f"{message} {teacher.document_by})", path=training.teacher)
    return known


def lists(
    spec: CrossEncoder, data: StageData, documents: list[str], teacher: Floats | None, context: Context
) -> tuple[Draws, Held | None]:
    """What to draw lists from, and what the curve is measured on; a draft needs a curve only to stop by."""
    learn, held = parted(data, spec.train, context.seed)
    if context.draft and not spec.train.patience:
        learn, held = np.arange(len(data.groups)), held[:0]
    part, texts, known = along(data, learn, documents, teacher)
    draws = Draws(part, texts, spec.train, known)
    if not any(one.teaches for one in draws(0)):
        raise InvalidInput("no candidate is relevant, so there is nothing to learn", path=spec.name)
    return draws, held_of(*along(data, held, documents, teacher)) if len(held) else None


def along(
    data: StageData, queries: Rows, documents: list[str], teacher: Floats | None
) -> tuple[StageData, list[str], Floats | None]:
    """The rows of some queries, with their texts and the teacher's scores."""
    rows = rows_of(data.batch.offsets, queries)
    texts = [documents[row] for row in rows.tolist()]
    return data.queries(queries), texts, None if teacher is None else teacher[rows]


def tuning_of(spec: CrossEncoder, data: StageData) -> "Tuning":
    """The declared settings as the loop reads them."""
    from training.fine_tune import Tuning
    from training.tuning.objective import Objective

    training = spec.train
    top = float(np.exp2(data.labels.max(initial=0)) - 1) or 1.0
    return Tuning(
        epochs=training.epochs,
        learning_rate=training.learning_rate,
        step_tokens=training.step_tokens,
        max_tokens=spec.max_tokens,
        query_tokens=spec.query_tokens,
        freeze_embeddings=training.freeze_embeddings,
        objective=Objective(training.loss, training.teacher_weight, training.temperature, top),
        evaluations=training.evaluations,
        patience=training.patience,
        judge=training.judge,
        seed=training.seed,
    )


def judged(data: StageData, documents: list[str]) -> "Judged | None":
    """Pairs with labels, on which an exported variant must not lose nDCG@10; None where there are none."""
    from training.export.judging import Judged

    if (data.labels != np.floor(data.labels)).any():
        return None
    rows = [
        (data.batch.queries[query].text, documents[row], float(data.labels[row]))
        for row, query in enumerate(data.batch.query_of_row.tolist())
        if documents[row]
    ]
    try:
        return Judged.of(rows)
    except InvalidInput:  # no query has both a relevant document and another one
        return None


def calibration(data: StageData, documents: list[str]) -> list[tuple[str, str]]:
    """Real pairs of evenly drawn queries, best of the previous order first."""
    sizes = np.diff(data.batch.offsets)
    asked = np.flatnonzero(sizes > 1)
    drawn: Rows = asked[np.linspace(0, len(asked) - 1, min(CALIBRATION_QUERIES, len(asked))).astype(int)]
    pairs = []
    for query in drawn.tolist():
        start = int(data.batch.offsets[query])
        rows = range(start, start + min(CALIBRATION_DEPTH, int(sizes[query])))
        pairs += [(data.batch.queries[query].text, documents[row]) for row in rows if documents[row]]
    return pairs
