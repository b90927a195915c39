"""Text files, plain or gzipped, a line at a time, with errors that name `file:line`."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from features.errors import InvalidInput, NotFound


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number from 1, line without its end) of every line that is not blank.

    Raises:
        NotFound: if there is no such file.
        InvalidInput: for bytes that are not UTF-8, or a gzip file that is cut short.
    """
    for number, raw in raw_lines(path):
        line = text_of(raw, number, at(path, number))
        if line.strip():
            yield number, line


def raw_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The same before it is text, for readers that go on after a line that is none; see `text_of`.

    Raises:
        NotFound: if there is no such file.
        InvalidInput: for a gzip file that is cut short.
    """
    if not path.is_file():
        raise NotFound("no such file", path=str(path))
    number = 0
    try:
        with opened(path) as file:
            for number, raw in enumerate(file, start=1):
                if raw.strip():
                    yield number, raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InvalidInput(f"a broken gzip file: {error}", path=at(path, number + 1)) from None


def text_of(raw: bytes, number: int, where: str = "") -> str:
    """A line without its end; the file's first one without a byte order mark.

    Raises:
        InvalidInput: for bytes that are not UTF-8.
    """
    try:
        return raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"not UTF-8: {error.reason}", path=where) from None


def opened(path: Path) -> BinaryIO:
    """The file's bytes, unpacked where its name ends in `.gz`."""
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def at(path: Path, number: int) -> str:
    """The path of an error: `file:line`."""
    return f"{path}:{number}"


def find(folder: Path, stem: str, ending: str) -> Path | None:
    """`stem.ending` or `stem.ending.gz` in a folder, or None."""
    for name in (f"{stem}.{ending}", f"{stem}.{ending}.gz"):
        if (folder / name).is_file():
            return folder / name
    return None
