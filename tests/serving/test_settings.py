"""Settings of the process."""

from pathlib import Path

import pytest

from features.errors import InvalidConfig
from serving.settings import Limits, Settings, load_settings


def written(folder: Path, text: str) -> Path:
    """A settings file."""
    file = folder / "server.toml"
    file.write_text(text)
    return file


def test_defaults_are_safe() -> None:
    """Without a file and flags: this machine alone, and limits on everything."""
    assert load_settings(None, {}) == Settings()
    assert Settings().host == "127.0.0.1"
    assert Settings().limits.candidates == 10_000


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    """A flag that was given stands before the file; one that was not does not."""
    file = written(tmp_path, 'store = "here"\nport = 1\n[limits]\ncandidates = 5\n')
    loaded = load_settings(file, {"port": 2, "host": None})
    assert (loaded.store, loaded.port, loaded.host) == ("here", 2, "127.0.0.1")
    assert loaded.limits == Limits(candidates=5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prot = 1", "$: Object contains unknown field `prot`"),
        ("[limits]\ncandidate = 1", "$.limits: Object contains unknown field `candidate`"),
        ("[limits]\ncandidates = 0", "$.limits.candidates: Expected `int` >= 1"),
        ('port = "x"', "$.port: Expected `int`, got `str`"),
        ("port = 70000", "$.port: Expected `int` <= 65535"),
        ("port = ", "is not TOML"),
    ],
)
def test_a_mistake_is_named_by_its_path(tmp_path: Path, text: str, message: str) -> None:
    """Unknown keys, wrong types and broken bounds carry their path."""
    with pytest.raises(InvalidConfig) as caught:
        load_settings(written(tmp_path, text), {})
    assert message in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A settings file that cannot be read is an error, not a default."""
    with pytest.raises(InvalidConfig, match="cannot read"):
        load_settings(tmp_path / "none.toml", {})
