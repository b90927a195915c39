"""Names are checked in one place, and what passes is safe as the name of a folder."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.names import RankerName, check_name, is_name, parse_ranker
from features.errors import InvalidInput


@given(st.one_of(st.text(max_size=70), st.from_regex(r"[a-z0-9._/-]{1,66}")))
def test_a_name_that_passes_is_one_plain_folder(name: str) -> None:
    """No separators, no dots, no control characters, not too long: whatever the input."""
    if is_name(name):
        assert PurePosixPath("root", name).parts == ("root", name)
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")
        assert 1 <= len(name) <= 63
        assert name[0] not in "_-"


@pytest.mark.parametrize("name", ["a", "0", "default", "a_b-c9", "x" * 63])
def test_names(name: str) -> None:
    """What a name may be."""
    assert check_name(name, "tenant") == name


@pytest.mark.parametrize("name", ["", "A", "a b", "a.b", "a/b", "-a", "_a", "a\n", "ä", "x" * 64, "a@b"])
def test_no_names(name: str) -> None:
    """What it may not; the error names the field and does not repeat a whole page."""
    with pytest.raises(InvalidInput, match=r"^tenant: .*is no name"):
        check_name(name, "tenant")


def test_a_long_name_is_not_repeated_in_full() -> None:
    """An error stays a sentence, whatever is sent."""
    with pytest.raises(InvalidInput) as caught:
        check_name("x" * 1_000_000, "tenant")
    assert len(str(caught.value)) < 300


def test_rankers() -> None:
    """`name`, `name@version`, and nothing for the default."""
    assert parse_ranker("main") == RankerName("main", None)
    assert parse_ranker("main@0123abcd") == RankerName("main", "0123abcd")
    assert parse_ranker("") == RankerName("default", None)
    assert parse_ranker("@0123") == RankerName("default", "0123")


@pytest.mark.parametrize("name", ["main@", "main@a@b", "main@../x", "../main", "main@A"])
def test_no_rankers(name: str) -> None:
    """A pinned version is a name as well."""
    with pytest.raises(InvalidInput, match=r"^ranker: "):
        parse_ranker(name)
