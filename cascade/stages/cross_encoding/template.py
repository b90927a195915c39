"""Joins the text fields of a candidate into the document that the model reads."""

from collections.abc import Sequence
from string import Formatter

from features.batch import CandidateBatch
from features.columns import Kind

JOINER = ". "

Part = tuple[str, str | None]
"""A stretch of literal text, then the field behind it."""


def parse_template(template: str, fields: Sequence[str]) -> tuple[Part, ...]:
    """The parts of a template such as `{title}. {body}`.

    Raises:
        ValueError: if it is malformed or names what is not among `fields`.
    """
    parts: list[Part] = []
    for literal, field, form, conversion in Formatter().parse(template):
        if field is not None and (field not in fields or form or conversion):
            raise ValueError(f"template may hold only {{{'}, {'.join(fields)}}}, not {{{field}}}")
        parts.append((literal, field))
    if not any(field for _, field in parts):
        raise ValueError("template names no field")
    return tuple(parts)


def render(parts: Sequence[Part], fields: Sequence[str], values: Sequence[str | None]) -> str:
    """The document of one candidate: empty where it has no text at all.

    Without parts the fields that are there are joined with ". "; in a template, one that is not is empty.
    """
    present = {field: value.strip() for field, value in zip(fields, values, strict=True) if value}
    if not any(present.values()):
        return ""
    if not parts:
        return JOINER.join(value for value in present.values() if value)
    return "".join(literal + present.get(field or "", "") for literal, field in parts)


def documents(batch: CandidateBatch, fields: Sequence[str], template: str) -> list[str]:
    """The text that a model reads of every candidate; empty where there is none."""
    parts = parse_template(template, fields) if template else ()
    columns = [batch.column(name, Kind.TEXT).values for name in fields]
    return [render(parts, fields, values) for values in zip(*columns, strict=True)]
