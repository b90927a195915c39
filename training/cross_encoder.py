"""Fits a `cross_encoder` stage: as it comes, or fine-tuned listwise on what earlier stages let through."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from cascade.stages.cross_encoder import CrossEncoder
from cascade.stages.embedded import EMBEDDED, embedded_model
from features.columns import Rows
from features.errors import InvalidConfig, InvalidInput
from features.transformer.model import MODEL, SCORE, copy_model, read_notes
from training.dataset import StageData
from training.material import check_exported, check_packages, material
from training.teacher import read_teacher
from training.trainers import Context, Metrics

if TYPE_CHECKING:
    from training.export.checkpoint import Checkpoint
    from training.export.judging import Judged
    from training.tuning.settings import Tuning

EXPORTING = ("onnx", "safetensors")
TRAINING = ("torch", *EXPORTING)
CALIBRATION_QUERIES = 48
CALIBRATION_DEPTH = 8
BY_ORDER = ("listnet", "ranknet")
"""Losses that make something of ranks alone."""
SIZES = ("num_hidden_layers", "hidden_size", "intermediate_size")


def ready(spec: CrossEncoder) -> None:
    """The weights exist and fit, and so do the teacher and the packages that fine-tuning needs.

    Raises:
        InvalidConfig: if `weights` names no model, one for something else, or one of too few positions.
        InvalidInput: if the teacher's file cannot be right.
        NotReady: if a package is missing.
    """
    exported = (source(spec) / MODEL).is_file()
    check_exported(spec, source(spec), SCORE)
    check_length(spec)
    needed = TRAINING if learns(spec) else () if exported else EXPORTING
    check_packages(spec, needed, "set train.epochs = 0 and weights = 'embedded', which need no training")
    if spec.train.teacher:
        read_teacher(Path(spec.train.teacher))


def check_length(spec: CrossEncoder) -> None:
    """Refuse pairs that are longer than what the model has positions for.

    Raises:
        InvalidConfig: naming both numbers.
    """
    start, config = source(spec), source(spec) / "config.json"
    if (start / MODEL).is_file():
        most = read_notes(start).max_tokens
    elif config.is_file():
        most = msgspec.json.decode(config.read_bytes()).get("max_position_embeddings", spec.max_tokens)
    else:
        return
    if spec.max_tokens > most:
        message = f"is {spec.max_tokens} where the model of weights reads at most {most}"
        raise InvalidConfig(message, path=f"{spec.name}.max_tokens")


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

    found = material(spec.name, spec.train, data, documents, context, BY_ORDER)
    model = trainable(checkpoint, spec.train.seed)
    hooks = Hooks(context.track, f"{spec.name}: fine-tuning", device_here(), context.work)
    tuning = tuning_of(spec, data)
    tuned = fine_tune(model, found.draws, tokenizer_of(checkpoint), tuning, hooks, found.held)
    told = {**found.told(tuned), "student": {key: checkpoint.config.get(key) for key in SIZES}}
    return trained(model, checkpoint), told


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
