"""Digests of files."""

import hashlib
import os
from pathlib import Path

import pytest

from features import digests
from features.digests import digest


def test_it_is_the_sha_256_of_what_is_in_the_file_now(tmp_path: Path) -> None:
    """After every change of the file, even one that leaves its size as it was."""
    file = tmp_path / "file"
    for number, content in enumerate((b"one", b"two", b"", b"three")):
        file.write_bytes(content)
        os.utime(file, ns=(number, number))
        assert digest(file) == digest(file) == hashlib.sha256(content).hexdigest()


def test_a_file_is_read_once_whatever_it_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hard link is the same file; a copy is another one."""
    reads: list[int] = []
    counted = hashlib.file_digest

    def count(file: object, name: str) -> object:
        reads.append(1)
        return counted(file, name)  # type: ignore[arg-type]

    monkeypatch.setattr(digests.hashlib, "file_digest", count)
    file, link, copy = (tmp_path / name for name in ("file", "link", "copy"))
    file.write_bytes(b"content")
    os.link(file, link)
    copy.write_bytes(b"content")
    assert digest(file) == digest(link) == digest(file) == digest(copy)
    assert len(reads) == 2


def test_not_everything_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go."""
    monkeypatch.setattr(digests, "MOST", 3)
    for number in range(6):
        (tmp_path / str(number)).write_bytes(bytes([number]))
        digest(tmp_path / str(number))
    assert len(digests._known) <= 3
