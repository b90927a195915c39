"""Finds classes by kind among entry points, so that a plug-in is an installed package and no import path.

Extension points are three entry-point groups: `sluice.features`, `sluice.stages` and `sluice.stores`.
"""

from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points
from typing import Any, TypeVar

import msgspec

from features.errors import InvalidConfig
from features.feature import Feature

FEATURES = "sluice.features"

S = TypeVar("S", bound=msgspec.Struct)


@cache
def kinds(group: str) -> dict[str, Any]:
    """Kind → entry point of a group. Nothing is imported before it is asked for."""
    return {point.name: point for point in entry_points(group=group)}


def find(group: str, kind: str, path: str) -> Any:
    """The object behind a kind.

    Raises:
        InvalidConfig: naming the kinds there are, and the nearest one to a misspelt kind.
    """
    known = kinds(group)
    if kind in known:
        return known[kind].load()
    near = get_close_matches(kind, known, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise InvalidConfig(f"no kind {kind!r}; {hint}there are {', '.join(sorted(known))}", path=f"{path}.kind")


def parse(table: Any, into: type[S], path: str) -> S:
    """A frozen struct from a TOML table; errors carry the full path of the key.

    Raises:
        InvalidConfig: for unknown keys, wrong types and broken constraints.
    """
    try:
        return msgspec.convert(table, into)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `")
        place = where.rstrip("`").removeprefix("$")
        hint = "" if place else keys_of(into, message)
        raise InvalidConfig(message + hint, path=path + place) from None


def keys_of(into: type[msgspec.Struct], message: str) -> str:
    """After the message on an unknown key: the nearest one that there is, and all of them."""
    _, _, rest = message.partition("unknown field `")
    if not rest:
        return ""
    names = [field.encode_name for field in msgspec.structs.fields(into)]
    known = list(dict.fromkeys((["kind"] if hasattr(into, "kind") else []) + names))
    near = get_close_matches(rest.rstrip("`"), known, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"; {hint}there are {', '.join(known)}"


def parse_features(tables: Any, path: str = "$.features") -> tuple[Feature, ...]:
    """Features from a list of TOML tables, each with its `kind`."""
    if not isinstance(tables, list | tuple):
        raise InvalidConfig("must be a list of tables, each under [[features]]", path=path)
    parsed = []
    for position, table in enumerate(tables):
        where = f"{path}[{position}]"
        if not isinstance(table, dict) or not isinstance(table.get("kind"), str):
            raise InvalidConfig("needs a kind", path=f"{where}.kind")
        rest = {key: value for key, value in table.items() if key != "kind"}
        rest.setdefault("name", default_name(table, position))
        parsed.append(parse(rest, find(FEATURES, table["kind"], where), where))
    return tuple(parsed)


def default_name(table: dict[str, Any], position: int) -> str:
    """`field_kind` where one field is read, else `kind_position`."""
    field = table.get("field")
    return f"{field}_{table['kind']}" if isinstance(field, str) else f"{table['kind']}_{position}"
