"""`sluice rank`: ask a server."""

import gzip
import json as jsonlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from cli.check import table as plain
from cli.console import err, out
from cli.options import Json, Tenant
from features.errors import InvalidInput

if TYPE_CHECKING:
    from sluice import RankError, Ranking

Row = dict[str, Any]

TITLES = ("title", "name", "headline", "question", "text", "body")
"""Fields that a person would know a candidate by, the best first."""
TITLE_WIDTH = 60


def command(
    target: Annotated[str, typer.Option(help="The server.", metavar="HOST:PORT")],
    tenant: Tenant,
    query: Annotated[str, typer.Option(help="As a person would type it.", metavar="TEXT")],
    candidates: Annotated[
        Path,
        typer.Option(
            help="JSON lines or a JSON array of objects with `id` or `_id`; .gz too.", metavar="FILE"
        ),
    ],
    ranker: Annotated[str, typer.Option(help="A name, or name@version.")] = "",
    top_k: Annotated[int, typer.Option(help="How many to show; 0 = all.", min=0)] = 10,
    first: Annotated[
        int | None, typer.Option(help="Send only the first so many.", min=0, metavar="N")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Feature values and contributions.")] = False,
    timeout_ms: Annotated[int, typer.Option(help="Of the whole call.", min=1)] = 5_000,
    token: Annotated[
        str, typer.Option(help="Bearer token.", envvar="SLUICE_TOKEN", show_envvar=True, metavar="TOKEN")
    ] = "",
    tls_roots: Annotated[
        Path | None, typer.Option(help="Speak TLS; PEM of whom to trust.", metavar="FILE")
    ] = None,
    json: Json = False,
) -> None:
    """Rank the candidates of a file, and show what placed each of them and what every stage did."""
    from sluice import Client, InvalidCandidates, RankError, Tls

    rows = read_candidates(candidates)[:first]
    options: dict[str, Any] = {
        "top_k": top_k,
        "ranker": ranker,
        "explain": "features" if explain else "stages",
    }
    try:
        tls = Tls(tls_roots.read_bytes()) if tls_roots else None
        with Client(target, tenant, token=token, tls=tls, timeout_s=timeout_ms / 1e3) as client:
            answer = client.rank(query, rows, ignore_unknown_columns=True, **options)
    except InvalidCandidates as error:
        raise InvalidInput(str(error), path=str(candidates)) from None
    except RankError as error:
        fail(error, len(rows))
    if json:
        typer.echo(to_json(answer))
    else:
        show(answer, rows, explain)


def read_candidates(file: Path) -> list[Row]:
    """Candidates of a file. Objects in objects have no column to go to and are left out.

    Raises:
        InvalidInput: naming the line that is not an object with an id.
    """
    try:
        with (
            gzip.open(file, "rt", encoding="utf-8")
            if file.suffix == ".gz"
            else file.open(encoding="utf-8") as lines
        ):
            text = lines.read()
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise InvalidInput(f"cannot be read: {error}", path=str(file)) from None
    return [to_row(value, f"{file}:{number}") for number, value in parse(text, file)]


def parse(text: str, file: Path) -> list[tuple[int, Any]]:
    """Objects with their positions: lines of JSON lines, elements of an array."""
    whole = text.lstrip().startswith("[")
    line = 0
    try:
        if whole:
            return list(enumerate(jsonlib.loads(text), start=1))
        made = []
        for line, source in enumerate(text.split("\n"), start=1):
            if source.strip():
                made.append((line, jsonlib.loads(source)))
        return made
    except jsonlib.JSONDecodeError as error:
        raise InvalidInput(f"not JSON: {error}", path=f"{file}:{line or error.lineno}") from None
    except RecursionError:
        raise InvalidInput("not JSON: nested without end", path=f"{file}:{line or 1}") from None


def to_row(value: Any, where: str) -> Row:
    """One candidate, its id named `id`."""
    if not isinstance(value, dict):
        raise InvalidInput("is no JSON object", path=where)
    name = value.get("id", value.get("_id"))
    if name is None:
        raise InvalidInput("has neither `id` nor `_id`", path=where)
    rest = {
        key: each for key, each in value.items() if key not in ("id", "_id") and not isinstance(each, dict)
    }
    return {"id": str(name), **rest}


def fail(error: "RankError", sent: int) -> None:
    """Say what went wrong, and end: status 2 for what the caller can mend in the input, else 1."""
    from sluice import InvalidRequest, UnknownName

    told = way_out(error, sent)
    hint = f" ({told})" if told else ""
    err.print(f"sluice: {error}{hint}", style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(2 if isinstance(error, InvalidRequest | UnknownName) else 1)


def way_out(error: "RankError", sent: int) -> str:
    """What to do about it on the command line; "" where the error says it."""
    from sluice import Unreachable

    if isinstance(error, Unreachable):
        return "is `sluice serve` running there? --target says where"
    if error.code.name == "UNAUTHENTICATED":
        return "put the token into $SLUICE_TOKEN"
    return f"{sent} were sent; --first N sends fewer" if "candidates, more than" in error.message else ""


def show(answer: "Ranking", rows: Sequence[Row], explain: bool) -> None:
    """Tables for people."""
    out.print(results_table(answer, rows))
    out.print(stages_table(answer))
    if explain:
        for result in answer.results:
            out.print(f"{result.id}: {explained(result)}", markup=False, highlight=False, soft_wrap=True)
    for warning in answer.warnings:
        err.print(f"warning: {warning}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    if answer.degraded:
        err.print("degraded: a stage was shrunk, skipped for want of time, or failed", style="yellow")


def results_table(answer: "Ranking", rows: Sequence[Row]) -> Table:
    """Rank, id, what a person knows it by, score, the stage that placed it."""
    table = Table(title=f"{answer.ranker}@{answer.version}", box=SIMPLE_HEAD)
    for name, side in (
        ("rank", "right"),
        ("id", "left"),
        ("title", "left"),
        ("score", "right"),
        ("placed by", "left"),
    ):
        table.add_column(name, justify="right" if side == "right" else "left")
    for place, result in enumerate(answer.results, start=1):
        score = "" if result.score is None else f"{result.score:.4f}"
        table.add_row(
            str(place), result.id, title(rows[result.index]), score, result.outcome or result.placed_by
        )
    return table


def stages_table(answer: "Ranking") -> Any:
    """What every stage did, and what it cost."""
    heads = (
        "stage",
        "status",
        "seen",
        "kept",
        "into top",
        "out of top",
        "features ms",
        "scoring ms",
        "tokens",
    )
    rows: list[Sequence[str]] = []
    for each in answer.stages:
        numbers = (each.seen, each.kept, each.entered_top_k, each.left_top_k)
        times = (f"{each.features_ms:.2f}", f"{each.inference_ms:.2f}")
        status = f"{each.status}: {each.reason}" if each.reason else each.status
        rows.append((each.name, status, *map(str, numbers), *times, str(each.tokens)))
    return plain("", heads, rows, whole=("stage",))


def title(row: Mapping[str, Any]) -> str:
    """What a person knows a candidate by, on one line."""
    texts = {key: value for key, value in row.items() if isinstance(value, str) and key != "id"}
    text = next((texts[key] for key in TITLES if key in texts), next(iter(texts.values()), ""))
    line = " ".join(text.split())
    return line if len(line) <= TITLE_WIDTH else f"{line[: TITLE_WIDTH - 1]}…"


def explained(result: Any) -> str:
    """The five features that moved an item's score most."""
    if result.explanation is None:
        return "nothing to tell"
    told = sorted(result.explanation.features, key=lambda each: -abs(each.contribution or 0.0))[:5]
    return ", ".join(f"{each.name}={shown(each.value)} ({shown(each.contribution)})" for each in told)


def shown(value: float | None) -> str:
    """A number, or a dash where there is none."""
    return "-" if value is None else f"{value:.4g}"


def to_json(answer: "Ranking") -> str:
    """The answer as it came."""
    import msgspec

    return msgspec.json.format(msgspec.json.encode(answer), indent=2).decode()
