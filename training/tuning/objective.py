"""What a list's logits are held against: its labels, a teacher, or a mixture of both."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from training.tuning.losses import listnet, margin_mse, pointwise, ranknet

Loss = Literal["listnet", "binary", "graded", "ranknet", "margin_mse"]


@dataclass(frozen=True, slots=True)
class Objective:
    """(1 - w) · loss of the labels + w · loss of the teacher, w = `teacher_weight`.

    A list that has only one of the two is held against that one with its whole weight.

    Attributes:
        loss: of both parts, but that `margin_mse` says nothing of labels: theirs is `listnet` then.
        teacher_weight: from 0 to 1.
        temperature: the teacher's scores are divided by it; higher ones make its distribution flatter.
        top_gain: the gain of the highest grade, which `graded` takes for certain relevance.
    """

    loss: Loss = "listnet"
    teacher_weight: float = 0.5
    temperature: float = 1.0
    top_gain: float = 1.0

    def __call__(self, logits: Tensor, gains: Tensor, teacher: Tensor | None = None) -> Tensor:
        """The loss of one list.

        Args:
            logits: float[d].
            gains: float[d], at least 0; labels count where any is above 0.
            teacher: float[d], NaN where the teacher has no score; it counts where two or more are known.
        """
        parts: list[tuple[float, Tensor]] = []
        weight = self.teacher_weight
        if teacher is not None and weight > 0 and int((known := ~teacher.isnan()).sum()) > 1:
            parts.append((weight, self.of_teacher(logits[known], teacher[known] / self.temperature)))
        if (weight < 1 or not parts) and bool((gains > 0).any()):
            parts.append((1 - weight, self.of_labels(logits, gains)))
        if len(parts) == 1:
            return parts[0][1]
        return sum((share * part for share, part in parts), logits.sum() * 0.0)

    def of_labels(self, logits: Tensor, gains: Tensor) -> Tensor:
        """The loss against gains."""
        if self.loss == "ranknet":
            return ranknet(logits, gains)
        if self.loss == "binary":
            return pointwise(logits, (gains > 0).to(logits.dtype))
        if self.loss == "graded":
            return pointwise(logits, (gains / self.top_gain).clamp(max=1.0))
        return listnet(logits, gains / gains.sum())

    def of_teacher(self, logits: Tensor, scores: Tensor) -> Tensor:
        """The loss against a teacher's scores, all of them known."""
        if self.loss == "ranknet":
            return ranknet(logits, scores)
        if self.loss == "margin_mse":
            return margin_mse(logits, scores)
        if self.loss in ("binary", "graded"):
            return pointwise(logits, scores.sigmoid())
        return listnet(logits, scores.softmax(0))
