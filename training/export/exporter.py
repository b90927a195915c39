"""Exports a checkpoint: writes every variant, measures each, and keeps the first that passes the gate."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import msgspec
import numpy as np

from cascade.files import sync_tree
from features.columns import Floats
from features.errors import InvalidInput
from features.transformer.loaded import Model
from features.transformer.model import MODEL, NOTES, SCORE, TOKENIZER, VECTOR, Golden, Notes
from features.transformer.session import SessionSettings, create
from training.export.checkpoint import Checkpoint
from training.export.choosing import Bench, Choice, trials
from training.export.judging import Judged
from training.export.packing import VARIANTS
from training.export.parity import Gate, Parity
from training.export.reading import Reader, Texts, paired
from training.export.run import pairing
from training.export.source import Maker, Source
from training.progress import Track, quiet

GOLDEN = 3
"""Inputs whose outputs are recorded."""
GOLDEN_NUMBERS = 8
"""How much of a vector is recorded."""
GOLDEN_TOKENS = 128
"""Longer inputs are not recorded, so that loading stays quick."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was exported.

    Attributes:
        family: whose graph it is; `padded` where it is the framework's own.
        task, dimension: `score` (0), or `vector` and its numbers.
        variant: the one that was written.
        refused: variants that the gate refused, each with its loss.
        reference: what parity is against.
        parity: variant → how far it strays from the reference.
        max_tokens: the longest input.
        digest: SHA-256 of model.onnx.
        bytes: size of model.onnx.
    """

    family: str
    task: str
    dimension: int
    variant: str
    refused: tuple[str, ...]
    reference: str
    parity: dict[str, Parity]
    max_tokens: int
    digest: str
    bytes: int


def export(
    checkpoint: Path | Checkpoint,
    out: Path,
    calibration: Sequence[Texts | str],
    *,
    task: str = SCORE,
    pooling: str | None = None,
    normalised: bool | None = None,
    variants: Sequence[str] = VARIANTS,
    gate: Gate | None = None,
    judged: Judged | None = None,
    framework: bool = False,
    max_tokens: int = 256,
    query_tokens: int = 64,
    seed: int = 0,
    source: str = "",
    track: Track = quiet,
) -> Report:
    """Write model.onnx, tokenizer.json and model.json to `out`, all of them or none.

    Args:
        checkpoint: a directory as Hugging Face lays it out, or the same in memory.
        out: the directory to make; one that exists is replaced.
        calibration: real (query, document) pairs; for vectors lone texts do too.
        task: `score` of a pair, or `vector` of a text.
        pooling, normalised: of vectors; as the directory says, where they are not given.
        variants: those to try, in this order; the first that passes the gate is written.
        gate: what a variant may lose against the reference.
        judged: pairs with grades, to measure nDCG@10 on.
        framework: measure against the model in transformers, rather than against the packed graph in full
            precision. Models without a packed graph always are.
        max_tokens, query_tokens: of a pair, for calibration, as the stage will use them.
        seed: of the draws of pairs.
        source: where the checkpoint comes from, for the notes.
        track: shows progress.

    Raises:
        InvalidInput: naming the file, key or tensor of the checkpoint that is wrong.
        NotReady: if no variant passes, or a package is missing.
    """
    if not calibration:
        raise InvalidInput("has no pairs; some hundred real ones are needed", path="calibration")
    found = Source.read(checkpoint, task, pooling, normalised)
    random = np.random.default_rng(seed)
    maker, full, against = found.maker(random, framework)
    texts = pairing(found.checkpoint.tokenizer, min(max_tokens, maker.positions), query_tokens)
    reader = Reader(texts, task)
    bench = Bench(reader, trials(paired(calibration), judged, reader, random), gate or Gate(), track)
    notes = draft(found, maker, against, source)
    choice = bench.settle(tried(bench, maker, chosen(variants, maker), notes, bench.reference(full)))
    notes = finished(notes, choice, bench)
    with replacing(out) as directory:
        (directory / MODEL).write_bytes(choice.content)
        (directory / TOKENIZER).write_text(found.checkpoint.tokenizer, encoding="utf-8")
        (directory / NOTES).write_bytes(msgspec.json.format(msgspec.json.encode(notes), indent=2))
    return report_of(notes, choice)


def chosen(variants: Sequence[str], maker: Maker) -> list[str]:
    """Those of the wanted variants that can be written."""
    unknown = [variant for variant in variants if variant not in VARIANTS]
    if unknown:
        raise InvalidInput(f"is none of {', '.join(VARIANTS)}", path=unknown[0])
    return [variant for variant in variants if variant in maker.variants] or list(maker.variants)


def draft(found: Source, maker: Maker, against: str, source: str) -> Notes:
    """The notes before a variant is chosen."""
    return Notes(
        family=maker.family,
        variant="",
        max_tokens=maker.positions,
        layout=found.layout,
        digest="",
        task=found.output.task,
        dimension=maker.dimension,
        normalised=found.output.task == VECTOR and found.output.normalised,
        padding=maker.padding,
        reference=against,
        source=source,
    )


def tried(bench: Bench, maker: Maker, variants: Sequence[str], notes: Notes, reference: Floats) -> Choice:
    """Every variant, written and measured."""
    choice = Choice()
    for variant in variants:
        content = maker.write(variant, bench.trials.fit)
        bench.look(choice, variant, content, opened(bench, notes, content).run, reference)
    return choice


def opened(bench: Bench, notes: Notes, content: bytes) -> Model:
    """A variant, ready to run as it will be served."""
    return Model(notes, create(content, SessionSettings()), bench.reader.texts.tokenizer)


def finished(notes: Notes, choice: Choice, bench: Bench) -> Notes:
    """The notes of the variant that was chosen, with what it makes of a few inputs."""
    return msgspec.structs.replace(
        notes,
        variant=choice.variant,
        digest=sha256(choice.content).hexdigest(),
        parity={name: msgspec.to_builtins(parity) for name, parity in choice.parity.items()},
        golden=tuple(golden(opened(bench, notes, choice.content), bench.trials.trial.pairs)),
    )


def golden(model: Model, pairs: Sequence[Texts]) -> Iterator[Golden]:
    """A few inputs that fit the model whole, each with what comes of it alone."""
    kept = 0
    for pair in pairs:
        texts = pair if model.notes.task == SCORE else pair[1:]
        if kept < GOLDEN and len(tokens := model.tokens(texts)) <= min(GOLDEN_TOKENS, model.notes.max_tokens):
            kept += 1
            yield Golden(texts=texts, output=tuple(np.ravel(model.run([tokens]))[:GOLDEN_NUMBERS].tolist()))


def report_of(notes: Notes, choice: Choice) -> Report:
    """What was exported."""
    return Report(
        family=notes.family,
        task=notes.task,
        dimension=notes.dimension,
        variant=notes.variant,
        refused=tuple(choice.refused),
        reference=notes.reference,
        parity=choice.parity,
        max_tokens=notes.max_tokens,
        digest=notes.digest,
        bytes=len(choice.content),
    )


@contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """A new directory that takes the place of `out` when all is written, and is gone when it is not."""
    out.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    made.chmod(0o755)
    try:
        yield made
        sync_tree(made)
        if out.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{out.name}.old.", dir=out.parent))
            out.replace(old)
            made.replace(out)
            shutil.rmtree(old)
        else:
            made.replace(out)
    finally:
        shutil.rmtree(made, ignore_errors=True)
