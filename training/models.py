"""Other people's models: a checkpoint from a directory or the hub becomes a model directory with a card."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import msgspec

from features.errors import Conflict, InvalidInput, NotFound
from features.transformer.model import NOTES, PADDED, SCORE, VECTOR
from training.card import Card, Figures, write_card
from training.export.checkpoint import CONFIG, read_json, weights
from training.export.exporter import Report, export, replacing
from training.export.parity import Gate, Parity
from training.export.pooling import MODULES, body_of
from training.hub import check_id, fetch
from training.progress import Track, quiet
from training.samples import Samples

FOLDER = Path("models")
"""Where models are put, beside the store."""
CLASSIFIER = "ForSequenceClassification"
NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,99}")
NOTE = (
    "The variant in use is marked *. Deviation: of scores (of cosines, for an encoder), the mean and the"
    " largest; tau: Kendall's, of a query's candidates; top 10: share of the reference's that stays."
)
COLUMNS = ("variant", "MB", "deviation", "largest", "tau", "top 10", "nDCG@10", "lost")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to add.

    Attributes:
        source: a directory or a hub id.
        revision: of the hub's repository.
        name: of the model; by its source without one.
        folder: where models are put.
        task: `score`, `vector`, or empty: as its files say.
        replace: whether a model of that name may be replaced.
        max_tokens: of the pairs that it is calibrated and judged on.
        gate: what a variant may lose; the usual without one.
    """

    source: str
    revision: str | None = None
    name: str = ""
    folder: Path = FOLDER
    task: str = ""
    replace: bool = False
    max_tokens: int = 256
    gate: Gate | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """A checkpoint with where it comes from.

    Attributes:
        directory: its files.
        source: a hub id, or the directory's name.
        revision: the commit, or the digest of its weights.
        licence: as its README states it.
    """

    directory: Path
    source: str
    revision: str
    licence: str


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """A model that was added: where, from where, and what was measured."""

    name: str
    path: str
    source: str
    revision: str
    licence: str
    report: Report


def add_model(wanted: Wanted, samples: Samples, now: datetime, track: Track = quiet) -> Added:
    """Export a checkpoint and write its card; the directory appears whole or not at all.

    Raises:
        InvalidInput: if the checkpoint is broken or is no ranker or encoder.
        Conflict: if there is a model of that name.
        Unavailable: if the hub cannot be reached.
        NotReady: if no variant passes the gate.
    """
    name = named(wanted)
    place = wanted.folder / name
    if place.exists() and not wanted.replace:
        raise Conflict("is there; choose another --name, or --replace it", path=str(place))
    origin = origin_of(wanted)
    task = wanted.task or task_of(origin.directory)
    with replacing(place) as made:
        report = export(
            origin.directory,
            made,
            samples.pairs,
            task=task,
            gate=wanted.gate,
            judged=samples.judged,
            framework=True,
            max_tokens=wanted.max_tokens,
            source=f"{origin.source}@{origin.revision}",
            track=track,
        )
        write_card(card_of(name, origin, report, samples, now), made)
    return Added(
        name=name,
        path=str(place),
        source=origin.source,
        revision=origin.revision,
        licence=origin.licence,
        report=report,
    )


def named(wanted: Wanted) -> str:
    """The model's name: the last part of its source where none is given.

    Raises:
        InvalidInput: for a name that is no plain file name.
    """
    if not local(wanted):
        check_id(wanted.source)
    name = wanted.name or Path(wanted.source).resolve().name
    if not NAME.fullmatch(name):
        raise InvalidInput(f"{name!r} is no name: letters, digits, '.', '_' and '-'", path="--name")
    return name


def local(wanted: Wanted) -> bool:
    """Whether the source is a directory on this machine."""
    return Path(wanted.source).is_dir()


def origin_of(wanted: Wanted) -> Origin:
    """The checkpoint's files, fetched where they are not here."""
    if local(wanted):
        if wanted.revision:
            raise InvalidInput("a directory has none; it is for hub ids", path="--revision")
        directory = Path(wanted.source)
        return Origin(directory, directory.resolve().name, digest_of(directory), licence_of(directory))
    found = fetch(wanted.source, wanted.revision)
    return Origin(found.directory, wanted.source, found.commit, licence_of(found.directory))


def digest_of(directory: Path) -> str:
    """The SHA-256 of a checkpoint's weights, which stands for a revision."""
    digest = sha256()
    for file in weights(body_of(directory)):
        if not file.is_file():
            raise InvalidInput("the checkpoint has no such file", path=str(file))
        digest.update(file.read_bytes())
    return f"sha256:{digest.hexdigest()}"


def licence_of(directory: Path) -> str:
    """The licence that the head of a README.md states; empty without one."""
    readme = directory / "README.md"
    text = readme.read_text(encoding="utf-8", errors="replace") if readme.is_file() else ""
    head = re.match(r"---\n(.*?)\n---", text, re.DOTALL)
    stated = re.search(r"^license:\s*(\S.*?)\s*$", head[1], re.MULTILINE) if head else None
    return stated[1].strip("'\"") if stated else ""


def task_of(directory: Path) -> str:
    """What a checkpoint is for, by its files.

    Raises:
        InvalidInput: if they do not say.
    """
    if (directory / MODULES).is_file():
        return VECTOR
    architectures = read_json(directory / CONFIG).get("architectures") or []
    if any(str(name).endswith(CLASSIFIER) for name in architectures):
        return SCORE
    message = f"is {architectures}; --task score reads it as a cross-encoder, --task vector as an encoder"
    raise InvalidInput(message, path=f"{CONFIG}: architectures")


def card_of(name: str, origin: Origin, report: Report, samples: Samples, now: datetime) -> Card:
    """The card of an imported model."""
    what = "cross-encoder" if report.task == SCORE else f"sentence encoder of {report.dimension} dimensions"
    packed = "torch's own graph over padded rows" if report.family == PADDED else "a packed graph"
    return Card(
        title=name,
        summary=f"A {what} ({report.family}), exported as {packed} in {report.variant}.",
        source=origin.source,
        revision=origin.revision,
        licence=origin.licence,
        made=now.isoformat(timespec="seconds"),
        data=(f"calibrated and judged on {len(samples.pairs):,} pairs of {samples.name}",),
        properties={
            "task": report.task,
            "variant": report.variant,
            "longest input, tokens": report.max_tokens,
            "bytes": report.bytes,
            "digest": report.digest,
        },
        figures=(parity_figures(report),),
        limits=tuple(f"refused: {text}" for text in report.refused),
        rebuild=rebuild(name, origin),
    )


def rebuild(name: str, origin: Origin) -> str:
    """The command that makes the model again."""
    at = "" if origin.revision.startswith("sha256:") else f" --revision {origin.revision}"
    return f"sluice models add {origin.source}{at} --name {name}"


def parity_figures(report: Report) -> Figures:
    """What every variant loses."""
    return Figures(
        title=f"Parity with {report.reference}",
        columns=COLUMNS,
        rows=tuple(row(name, parity, name == report.variant) for name, parity in report.parity.items()),
        note=NOTE,
    )


def row(name: str, parity: Parity, used: bool) -> tuple[str | float | None, ...]:
    """A variant's figures."""
    return (
        f"{name} *" if used else name,
        f"{parity.bytes / 1e6:.1f}",
        parity.mean_deviation,
        parity.max_deviation,
        parity.tau,
        parity.top_10,
        parity.ndcg_10,
        parity.ndcg_10_lost,
    )


def installed(folder: Path) -> Sequence[Path]:
    """The model directories in a folder, by name.

    Raises:
        NotFound: if there is no such folder.
    """
    if not folder.is_dir():
        raise NotFound("no such folder of models; `sluice models add` makes it", path=str(folder))
    found = [path for path in folder.iterdir() if not path.name.startswith(".") and (path / NOTES).is_file()]
    return sorted(found)
