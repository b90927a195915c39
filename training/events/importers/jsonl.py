"""JSON lines: an object a line, its keys those of the log's schema (`docs/feedback.md`).

A record with `candidates` is an impression, any other an interaction. Times are ISO 8601, or seconds since
1970.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from cascade.events import Event
from training.events.importers.shared import Problems, impression, interaction
from training.files import at, raw_lines, text_of
from training.records import parsed

SOURCE = "jsonl"


def read(files: list[Path], renamed: Mapping[str, str], problems: Problems) -> Iterator[Event]:
    """The events of some files, plain or gzipped.

    Raises:
        InvalidInput: naming the line, for a record that cannot be right.
    """
    theirs = {name: ours for ours, name in renamed.items()}
    for file in files:
        for number, line in raw_lines(file):
            with problems.at(at(file, number)):
                record = parsed(text_of(line, number))
                named = {theirs.get(name, name): value for name, value in record.items()}
                yield impression(named, SOURCE) if "candidates" in named else interaction(named, SOURCE)
