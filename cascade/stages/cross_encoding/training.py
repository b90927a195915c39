"""The `train` table of a `cross_encoder` stage."""

from typing import Annotated, Literal

import msgspec

Positive = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class CrossEncoderTraining(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the model is fine-tuned; with no epochs the weights are used as they are.

    Attributes:
        epochs: passes over the queries, such as 0.5 or 2.
        learning_rate: at its peak, after a short warm-up.
        loss: of a query's list (`training/tuning/losses.py` has formulas and sources): `listnet` and
            `ranknet` order it; `binary` and `graded` judge each document; `margin_mse` copies a teacher.
        teacher: a Parquet file of pairs that a teacher has scored (`training/teacher.py`).
        teacher_weight: the teacher's part in the loss, the labels having the rest.
        temperature: the teacher's scores are divided by it.
        positives: relevant candidates of a query's list.
        negatives: other candidates for each of them, rather those that the stage before ranked high.
        redraw: draw a query's list anew in every epoch.
        step_tokens: tokens that one step of the optimiser reads.
        freeze_embeddings: leave the word vectors as they are.
        layers: a student: of the layers of `weights`, as many as this, evenly spaced, the last among them.
        inner: a student: the neurons inside a layer that are kept, by the size of their weights.
        hidden: a student: the width of the vectors between layers, kept likewise; a multiple of a head's.
        held_out: share of the queries that the curve is measured on, and never learned from.
        evaluations: points of the curve.
        patience: stop when so many points brought nothing better, and keep the best step; 0 = never stop,
            and keep the last.
        judge: what better means: the held-out nDCG@10, or the loss.
        folds: parts of the queries; each part is scored by a model that has not seen it.
        seed: of drawing and shuffling.
    """

    epochs: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    learning_rate: Annotated[float, msgspec.Meta(gt=0)] = 5e-5
    loss: Literal["listnet", "binary", "graded", "ranknet", "margin_mse"] = "listnet"
    teacher: str = ""
    teacher_weight: Share = 0.5
    temperature: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    positives: Positive = 2
    negatives: Positive = 4
    redraw: bool = True
    step_tokens: Positive = 3_000
    freeze_embeddings: bool = True
    layers: Positive | None = None
    inner: Positive | None = None
    hidden: Positive | None = None
    held_out: Annotated[float, msgspec.Meta(ge=0, le=0.5)] = 0.05
    evaluations: Positive = 5
    patience: Annotated[int, msgspec.Meta(ge=0)] = 0
    judge: Literal["nDCG@10", "loss"] = "nDCG@10"
    folds: Annotated[int, msgspec.Meta(ge=2)] = 2
    seed: int = 7

    def __post_init__(self) -> None:
        if self.loss == "margin_mse" and not self.teacher:
            raise ValueError("loss = 'margin_mse' needs a teacher's scores: teacher = 'scores.parquet'")
        if not self.epochs and (self.layers or self.inner or self.hidden):
            raise ValueError("a student (layers, inner, hidden) has to be trained: set epochs, such as 2")
        if self.patience and not self.held_out:
            raise ValueError("patience needs held-out queries: set held_out, such as 0.05")
