"""What is exported: a checkpoint with its output and its layout, and who writes its graph."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np

from features.errors import NotReady
from features.transformer.layout import Layout
from features.transformer.packed import Pair
from training.export.checkpoint import Checkpoint, check_vocabulary, read_checkpoint
from training.export.families import NotPacked, Output, writer_of
from training.export.layouts import layout_of
from training.export.packing import REFERENCE, Packing
from training.export.pooling import body_of, output_of
from training.export.reading import Run

FRAMEWORK = ("torch", "transformers")


class Maker(Protocol):
    """Writes the variants of one checkpoint: `packing.Packing`, or `plain.Plain`."""

    @property
    def family(self) -> str:
        """Whose graph it is."""

    @property
    def variants(self) -> tuple[str, ...]:
        """Those that it can write, best first."""

    @property
    def padding(self) -> int:
        """The id that fills padded rows."""

    @property
    def positions(self) -> int:
        """The longest input."""

    @property
    def dimension(self) -> int:
        """Numbers in a vector; 0 for a score."""

    def write(self, variant: str, fit: Sequence[Pair]) -> bytes:
        """The model in a variant, calibrated on `fit` where it takes that."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A checkpoint to export.

    Attributes:
        checkpoint: its tensors.
        place: its directory, or the checkpoint itself where it has none.
        output: what it gives.
        layout: the special tokens around its texts.
    """

    checkpoint: Checkpoint
    place: Path | Checkpoint
    output: Output
    layout: Layout

    @classmethod
    def read(
        cls, given: Path | Checkpoint, task: str, pooling: str | None, normalised: bool | None
    ) -> "Source":
        """Read a directory, or take a checkpoint in memory as it is.

        Raises:
            InvalidInput: naming the file that is missing or wrong.
        """
        directory = given if isinstance(given, Path) else None
        output = output_of(directory, task, pooling, normalised)
        place = body_of(given) if isinstance(given, Path) else given
        checkpoint = read_checkpoint(place) if isinstance(place, Path) else place
        return cls(checkpoint, place, output, layout_of(checkpoint.tokenizer))

    def maker(self, random: np.random.Generator, framework: bool) -> tuple[Maker, Run, str]:
        """Who writes the graph, what it is measured against, and how that is called.

        Raises:
            InvalidInput: if the checkpoint is broken.
            NotReady: if it takes a package that is missing.
        """
        try:
            packing = Packing(writer_of(self.checkpoint, self.output), random)
        except NotPacked as reason:
            return self.plain(reason)
        if not framework:
            return packing, packing.reference(), REFERENCE
        need_framework("measuring against transformers")
        from training.export.framework import NAME, framework_of

        return packing, framework_of(self.place, self.output, self.layout.segments).run, NAME

    def plain(self, reason: NotPacked) -> tuple[Maker, Run, str]:
        """The framework's own graph, for a model that has no packed one."""
        need_framework(f"{reason}; another export")
        from training.export.framework import NAME, framework_of
        from training.export.plain import Plain

        framework = framework_of(self.place, self.output, self.layout.segments)
        check_vocabulary(self.checkpoint, framework.vocabulary)
        return Plain(framework, int(self.checkpoint.config.get("pad_token_id") or 0)), framework.run, NAME


def need_framework(what: str) -> None:
    """Refuse what takes torch and transformers where they are not.

    Raises:
        NotReady: naming what is missing, and how to get it.
    """
    absent = [name for name in FRAMEWORK if find_spec(name) is None]
    if absent:
        raise NotReady(f"{what} needs {', '.join(absent)}: pip install 'sluice[train]'")
