"""Fits a `bi_encoder` stage: as it comes, or trained on what earlier stages let through."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from cascade.stages.bi_encoder import BiEncoder
from cascade.stages.embedded import EMBEDDED, embedded_sentences
from features.errors import InvalidConfig
from features.transformer.encoder import load_sentence_encoder
from features.transformer.model import MODEL, VECTOR, copy_model
from training.cross_encoder import EXPORTING, TRAINING, calibration
from training.dataset import StageData
from training.material import check_exported, check_packages, material
from training.teacher import read_teacher
from training.trainers import Context, Metrics
from training.vectors import install_table

if TYPE_CHECKING:
    from training.bi_encode.loop import Contrast
    from training.export.checkpoint import Checkpoint
    from training.fine_tune import Tuning

BY_ORDER = ("multiple_negatives", "listnet")
"""Losses that make something of ranks alone."""


def ready(spec: BiEncoder) -> None:
    """The weights exist, and so do the teacher and the packages that training needs.

    Raises:
        InvalidConfig: if `weights` names no model, or one that cannot be trained.
        InvalidInput: if the teacher's file cannot be right.
        NotReady: if a package is missing.
    """
    exported = (source(spec) / MODEL).is_file()
    if exported and learns(spec):
        raise InvalidConfig(
            "is an exported model; to train, name the checkpoint that it was made of",
            path=f"{spec.name}.weights",
        )
    check_exported(spec, source(spec), VECTOR)
    needed = TRAINING if learns(spec) else () if exported else EXPORTING
    check_packages(spec, needed, "name an exported model")
    if spec.train.teacher:
        read_teacher(Path(spec.train.teacher))


def learns(spec: BiEncoder) -> bool:
    """Only where it is trained."""
    return spec.train.epochs > 0


def fit(spec: BiEncoder, data: StageData, directory: Path, context: Context) -> Metrics:
    """Write `model.onnx`, `tokenizer.json` and `model.json`, and the table of vectors if there is one.

    Raises:
        InvalidConfig: if `weights` names no model.
        InvalidInput: if there is nothing to learn from, or the table is another encoder's.
        Conflict: if the work folder is of another training.
    """
    if not learns(spec) and (source(spec) / MODEL).is_file():
        copy_model(source(spec), directory)
        told: dict[str, Any] = {"weights": spec.weights, "epochs": 0}
    else:
        told = exported(spec, data, directory, context)
    if spec.table:
        encoder = load_sentence_encoder(directory, spec.reading)
        told["table"] = install_table(Path(spec.table), directory, encoder)
    return told


def source(spec: BiEncoder) -> Path:
    """The directory where training starts."""
    found = embedded_sentences() if spec.weights == EMBEDDED else Path(spec.weights)
    if not found.is_dir():
        raise InvalidConfig(f"no directory {spec.weights!r}", path=f"{spec.name}.weights")
    return found


def exported(spec: BiEncoder, data: StageData, directory: Path, context: Context) -> dict[str, Any]:
    """Train where that is wanted, and export. Imports torch here, so that no one else needs it."""
    from training.export import export, read_checkpoint
    from training.export.pooling import body_of, output_of

    output = output_of(source(spec), VECTOR)
    checkpoint, told = read_checkpoint(body_of(source(spec))), dict[str, Any]()
    documents = spec.documents(data.batch)
    if learns(spec):
        checkpoint, told = learned(spec, checkpoint, output.pooling, data, documents, context)
    report = export(
        checkpoint,
        directory,
        samples(spec, data, documents),
        task=VECTOR,
        pooling=output.pooling,
        normalised=output.normalised,
        max_tokens=spec.max_tokens,
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


def samples(spec: BiEncoder, data: StageData, documents: list[str]) -> list[tuple[str, str] | str]:
    """Real texts to calibrate on, with their prefixes; queries alone where documents come as vectors."""
    if spec.vectors:
        return [spec.query_prefix + query.text for query in data.batch.queries[:512]]
    pairs = calibration(data, documents)
    return [(spec.query_prefix + query, spec.document_prefix + document) for query, document in pairs]


def learned(
    spec: BiEncoder,
    checkpoint: "Checkpoint",
    pooling: str,
    data: StageData,
    documents: list[str],
    context: Context,
) -> tuple["Checkpoint", dict[str, Any]]:
    """The trained checkpoint, and what there is to tell of it.

    Raises:
        InvalidInput: if no candidate is relevant and no teacher knows any.
    """
    from training.bi_encode.lists import prefixed, with_prefixes
    from training.bi_encode.loop import train_encoder
    from training.bi_encode.tower import tower_of
    from training.fine_tune import Hooks
    from training.packed_bert import as_checkpoint, tokenizer_of
    from training.tuning.curve import Held
    from training.tuning.devices import device_here

    found = material(spec.name, spec.train, data, documents, context, BY_ORDER)
    tower = tower_of(checkpoint, pooling, unit=spec.similarity == "cosine")
    prefixes = spec.query_prefix, spec.document_prefix
    held = found.held or Held((), ())
    tuned = train_encoder(
        tower,
        with_prefixes(found.draws, *prefixes),
        tokenizer_of(checkpoint),
        tuning_of(spec),
        contrast_of(spec, found.data, found.documents),
        Hooks(context.track, f"{spec.name}: training", device_here(), context.work),
        Held(tuple(prefixed(one, *prefixes) for one in held.lists), held.grades),
    )
    return as_checkpoint(tower, checkpoint), found.told(tuned)


def tuning_of(spec: BiEncoder) -> "Tuning":
    """The declared settings as the loop reads them."""
    from training.fine_tune import Tuning
    from training.tuning.objective import Objective

    training = spec.train
    loss = "listnet" if training.loss == "multiple_negatives" else training.loss
    return Tuning(
        epochs=training.epochs,
        learning_rate=training.learning_rate,
        step_tokens=training.step_tokens,
        micro_tokens=8_000,
        max_tokens=spec.max_tokens,
        freeze_embeddings=training.freeze_embeddings,
        objective=Objective(loss, training.teacher_weight, training.temperature),
        evaluations=training.evaluations,
        patience=training.patience,
        judge=training.judge,
        seed=training.seed,
    )


def contrast_of(spec: BiEncoder, data: StageData, documents: list[str]) -> "Contrast":
    """Negatives of a step, and what is none: documents with a label of the query."""
    from training.bi_encode.loop import Contrast, relevant_to

    rows = np.flatnonzero(data.labels > 0)
    owners = data.batch.query_of_row[rows].tolist()
    pairs = [
        (spec.query_prefix + data.batch.queries[query].text, spec.document_prefix + documents[row])
        for query, row in zip(owners, rows.tolist(), strict=True)
    ]
    sharpness = spec.train.sharpness if spec.similarity == "cosine" else 1.0
    return Contrast(sharpness, spec.train.loss == "multiple_negatives", relevant_to(pairs))
