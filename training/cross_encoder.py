"""Fits a `cross_encoder` stage: as it comes, or fine-tuned listwise on what earlier stages let through."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from cascade.stages.cross_encoder import EMBEDDED, CrossEncoder
from cascade.stages.cross_encoding.embedded import embedded_model
from features.columns import Rows
from features.errors import InvalidConfig, InvalidInput, NotReady
from features.transformer.model import MODEL, NOTES, TOKENIZER
from training.dataset import StageData
from training.trainers import Context, Metrics

EXPORTING = ("onnx", "safetensors")
TRAINING = ("torch", *EXPORTING)
CALIBRATION_QUERIES = 48
CALIBRATION_DEPTH = 8


def ready(spec: CrossEncoder) -> None:
    """The weights exist, and so do the packages that fine-tuning needs.

    Raises:
        InvalidConfig: if `weights` names no model.
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


def learns(spec: CrossEncoder) -> bool:
    """Only where it is fine-tuned."""
    return spec.train.epochs > 0


def fit(spec: CrossEncoder, data: StageData, directory: Path, context: Context) -> Metrics:
    """Write `model.onnx`, `tokenizer.json` and `model.json`; tell the loss and the parity.

    Raises:
        InvalidConfig: if `weights` names no model.
        InvalidInput: if no candidate is relevant.
    """
    if not learns(spec) and (source(spec) / MODEL).is_file():
        for name in (MODEL, TOKENIZER, NOTES):
            shutil.copyfile(source(spec) / name, directory / name)
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
    from training.export import export, read_checkpoint
    from training.export.restore import restore

    start = source(spec)
    checkpoint = restore(start) if (start / MODEL).is_file() else read_checkpoint(start)
    documents = spec.documents(data.batch)
    pairs = calibration(data, documents)
    losses: list[float] = []
    if learns(spec):
        from training.fine_tune import Tuning, fine_tune
        from training.lists import listed
        from training.packed_bert import as_checkpoint, model_of, tokenizer_of

        model = model_of(checkpoint)
        tuning = Tuning(
            epochs=spec.train.epochs,
            learning_rate=spec.train.learning_rate,
            step_tokens=spec.train.step_tokens,
            max_tokens=spec.max_tokens,
            query_tokens=spec.query_tokens,
            seed=spec.train.seed,
        )
        lists = listed(data, documents, spec.train)
        if not lists:
            raise InvalidInput("no candidate is relevant, so there is nothing to learn", path=spec.name)
        losses = fine_tune(
            model, lists, tokenizer_of(checkpoint), tuning, context.track, f"{spec.name}: fine-tuning"
        )
        checkpoint = as_checkpoint(model, checkpoint)
    report = export(checkpoint, directory, pairs, max_tokens=spec.max_tokens, query_tokens=spec.query_tokens)
    tail = losses[-max(1, len(losses) // 10) :]
    return {
        "weights": spec.weights,
        "steps": len(losses),
        "loss": float(np.mean(tail)) if tail else None,
        "variant": report.variant,
        "refused": list(report.refused),
    }


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
