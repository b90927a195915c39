"""The `train` table of a `bi_encoder` stage."""

from typing import Annotated, Literal

import msgspec

Positive = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class BiEncoderTraining(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the encoder is trained; with no epochs the weights are used as they are.

    Attributes:
        epochs: passes over the queries, such as 0.5 or 2.
        learning_rate: at its peak, after a short warm-up.
        loss: `multiple_negatives` prefers a query's good documents to its bad ones and to those of the other
            queries of a step; `listnet` to its bad ones alone; `margin_mse` copies the teacher's differences
            (`training/bi_encode/losses.py` has formulas and sources).
        teacher: a Parquet file of pairs that a teacher, such as a cross-encoder, has scored
            (`training/teacher.py`).
        teacher_weight: the teacher's part in what is aimed at, the labels having the rest.
        temperature: the teacher's scores are divided by it.
        sharpness: cosines are multiplied by it.
        positives: relevant candidates of a query's list.
        negatives: other candidates of a list, rather those that the stage before ranked high.
        redraw: draw a query's list anew in every epoch.
        step_tokens: tokens that one step of the optimiser reads: the more, the more negatives a query sees.
        freeze_embeddings: leave the word vectors as they are.
        held_out: share of the queries that the curve is measured on, and never learned from.
        evaluations: points of the curve.
        patience: stop when so many points brought nothing better, and keep the best step; 0 = never stop,
            and keep the last.
        judge: what better means: the nDCG@10 of held-out candidates, or the loss.
        folds: parts of the queries; each part is scored by a model that has not seen it.
        seed: of drawing and shuffling.
    """

    epochs: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    learning_rate: Annotated[float, msgspec.Meta(gt=0)] = 5e-5
    loss: Literal["multiple_negatives", "listnet", "margin_mse"] = "multiple_negatives"
    teacher: str = ""
    teacher_weight: Share = 0.5
    temperature: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    sharpness: Annotated[float, msgspec.Meta(gt=0)] = 20.0
    positives: Positive = 1
    negatives: Positive = 7
    redraw: bool = True
    step_tokens: Positive = 8_000
    freeze_embeddings: bool = True
    held_out: Annotated[float, msgspec.Meta(ge=0, le=0.5)] = 0.05
    evaluations: Positive = 3
    patience: Annotated[int, msgspec.Meta(ge=0)] = 0
    judge: Literal["nDCG@10", "loss"] = "nDCG@10"
    folds: Annotated[int, msgspec.Meta(ge=2)] = 2
    seed: int = 7

    def __post_init__(self) -> None:
        if self.loss == "margin_mse" and not self.teacher:
            raise ValueError("loss = 'margin_mse' needs a teacher's scores: teacher = 'scores.parquet'")
        if self.patience and not self.held_out:
            raise ValueError("patience needs held-out queries: set held_out, such as 0.05")
