"""Exports a checkpoint: writes every variant, judges it against float32, keeps the first that passes."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from features.columns import Floats
from features.errors import InvalidInput, NotReady
from features.transformer.model import MODEL, NOTES, TOKENIZER, Notes
from features.transformer.packed import Pair, feed
from training.export.bert import INPUTS, Bert
from training.export.calibrate import calibrate, sampled
from training.export.checkpoint import CONFIG, Checkpoint, read_checkpoint
from training.export.linear import Dynamic, Float, Linear, Static
from training.export.parity import Gate, Parity, Trial, compare, trial
from training.export.run import batches, open_model, pairing, scores, tokenise

FAMILIES = {"bert": Bert}
"""config.json's model_type → the writer of its packed graph."""
VARIANTS = ("int8", "int8-dynamic", "float32")
"""Best first: calibrated int8, int8 whose scales depend on the batch, and full precision."""
CALIBRATION = 192
"""Pairs that scales are calibrated on."""
REFERENCE = "reference"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was exported.

    Attributes:
        variant: the one that was written.
        refused: variants that the gate refused, each with its loss.
        parity: variant → how far it strays from float32.
        digest: SHA-256 of model.onnx.
        bytes: size of model.onnx.
    """

    variant: str
    refused: tuple[str, ...]
    parity: dict[str, Parity]
    digest: str
    bytes: int


def export(
    checkpoint: Path | Checkpoint,
    out: Path,
    calibration: Sequence[tuple[str, str]],
    *,
    variants: Sequence[str] = VARIANTS,
    gate: Gate | None = None,
    max_tokens: int = 256,
    query_tokens: int = 64,
    seed: int = 0,
) -> Report:
    """Write model.onnx, tokenizer.json and model.json to `out`, all of them or none.

    Args:
        checkpoint: a directory as Hugging Face lays it out, or the same in memory.
        out: the directory to make; one that exists is replaced.
        calibration: real (query, document) pairs.
        variants: those to try, in this order; the first that passes the gate is written.
        gate: what a variant may lose against float32.
        max_tokens, query_tokens: of a pair, for calibration, as the stage will use them.
        seed: of the draws of pairs.

    Raises:
        InvalidInput: naming the file, key or tensor of the checkpoint that is wrong.
        NotReady: if no variant passes.
    """
    source = read_checkpoint(checkpoint) if isinstance(checkpoint, Path) else checkpoint
    family = str(source.config.get("model_type"))
    if family not in FAMILIES:
        message = f"is {family!r} where {', '.join(FAMILIES)} is exported"
        raise InvalidInput(message, path=f"{CONFIG}: model_type")
    if not calibration:
        raise InvalidInput("has no pairs; some hundred real ones are needed", path="calibration")
    exporter = Exporter(FAMILIES[family](source), source, max_tokens, query_tokens, seed)
    report, content = exporter.choose(calibration, variants, gate or Gate())
    special = pairing(source.tokenizer, max_tokens, query_tokens)
    notes = Notes(
        family=family,
        variant=report.variant,
        max_tokens=exporter.writer.shape.positions,
        first=special.first,
        last=special.last,
        digest=report.digest,
        parity={name: msgspec.to_builtins(parity) for name, parity in report.parity.items()},
    )
    with replacing(out) as directory:
        (directory / MODEL).write_bytes(content)
        (directory / TOKENIZER).write_text(source.tokenizer, encoding="utf-8")
        (directory / NOTES).write_bytes(msgspec.json.format(msgspec.json.encode(notes), indent=2))
    return report


class Exporter:
    """One checkpoint in every precision."""

    def __init__(
        self, writer: Bert, source: Checkpoint, max_tokens: int, query_tokens: int, seed: int
    ) -> None:
        self.writer = writer
        positions = writer.shape.positions
        self.texts = pairing(source.tokenizer, min(max_tokens, positions), query_tokens)
        self.random = np.random.default_rng(seed)

    def choose(
        self, pairs: Sequence[tuple[str, str]], variants: Sequence[str], gate: Gate
    ) -> tuple[Report, bytes]:
        """The report and the content of the first variant that passes the gate."""
        fit, judge = self.divided(pairs)
        reference = self.reference(judge)
        parity: dict[str, Parity] = {}
        refused: list[str] = []
        chosen: tuple[str, bytes] | None = None
        for variant in variants:
            model = self.model(self.linear(variant, fit))
            content = model.SerializeToString()
            parity[variant] = compare(judge.groups, reference, self.judged(model, judge), len(content))
            if not gate.passes(parity[variant]):
                refused.append(
                    f"{variant}: tau {parity[variant].tau:.3f}, top 10 {parity[variant].top_10:.3f}"
                )
            elif chosen is None:
                chosen = variant, content
        if chosen is None:
            raise NotReady(f"no variant passes tau {gate.tau} and top 10 {gate.top_10}: {'; '.join(refused)}")
        variant, content = chosen
        digest = sha256(content).hexdigest()
        report = Report(
            variant=variant, refused=tuple(refused), parity=parity, digest=digest, bytes=len(content)
        )
        return report, content

    def divided(self, pairs: Sequence[tuple[str, str]]) -> tuple[list[Pair], Trial]:
        """Pairs to calibrate on, and a trial on the queries left (on the same ones, where there are few)."""
        queries = list(dict.fromkeys(query for query, _ in pairs))
        half = set(queries[: len(queries) // 2])
        fit = [pair for pair in pairs if pair[0] in half] or list(pairs)
        judge = [pair for pair in pairs if pair[0] not in half]
        drawn = self.random.permutation(len(fit))[:CALIBRATION]
        return tokenise(self.texts, [fit[row] for row in drawn.tolist()]), trial(judge, self.random)

    def model(self, linear: Linear, small: bool = True) -> Any:
        """The packed model in one precision."""
        return self.writer.write(linear, small).model(INPUTS, {"score": ("B",)})

    def reference(self, judge: Trial) -> Floats:
        """Scores in full precision, embeddings too.

        Raises:
            InvalidInput: if they are not finite.
        """
        found = self.judged(self.model(Float(), small=False), judge)
        if not np.isfinite(found).all():
            raise InvalidInput("gives scores that are not finite; its weights are broken", path="checkpoint")
        return found

    def judged(self, model: Any, judge: Trial) -> Floats:
        """A model's scores on the trial."""
        return scores(open_model(model), tokenise(self.texts, judge.pairs))

    def linear(self, variant: str, fit: Sequence[Pair]) -> Linear:
        """The linear layers of a variant, calibrated where it takes that."""
        if variant == "float32":
            return Float()
        if variant == "int8-dynamic":
            return Dynamic()
        if variant != "int8":
            raise InvalidInput(f"is none of {', '.join(VARIANTS)}", path=variant)
        layers = Float()
        graph = self.writer.write(layers)
        return Static(calibrate(self.observed(graph, layers, fit), layers.weights))

    def observed(self, graph: Any, layers: Float, fit: Sequence[Pair]) -> Mapping[str, Floats]:
        """Layer → rows that it read in full precision."""
        outputs = {value: ("rows", len(layers.weights[name][0])) for name, value in layers.reads.items()}
        session = open_model(graph.model(INPUTS, {"score": ("B",), **outputs}))
        parts: dict[str, list[Floats]] = {name: [] for name in layers.reads}
        for rows in batches(fit):
            found = session.run(list(layers.reads.values()), feed([fit[row] for row in rows.tolist()]))
            for name, values in zip(layers.reads, found, strict=True):
                parts[name].append(sampled([values], self.random, 64))
        return {name: sampled(values, self.random) for name, values in parts.items()}


@contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """A new directory that takes the place of `out` when all is written, and is gone when it is not."""
    out.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    made.chmod(0o755)
    try:
        yield made
        if out.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{out.name}.old.", dir=out.parent))
            out.replace(old)
            made.replace(out)
            shutil.rmtree(old)
        else:
            made.replace(out)
    finally:
        shutil.rmtree(made, ignore_errors=True)
