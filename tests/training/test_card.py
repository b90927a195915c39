"""Model cards say the same to people and to programs."""

from pathlib import Path

import pytest

from features.errors import InvalidInput, NotFound
from training.card import Card, Figures, read_card, render, write_card

CARD = Card(
    title="tiny",
    summary="A ranker.",
    source="owner/tiny",
    revision="0" * 40,
    data=("ten pairs",),
    properties={"bytes": 12345, "variant": "int8"},
    figures=(
        Figures(
            title="Parity", columns=("variant", "tau"), rows=(("int8 | 7 bits", 0.95), ("float32", None))
        ),
    ),
    limits=("English alone",),
    rebuild="sluice models add owner/tiny",
)


def test_a_card_shows_all_it_knows() -> None:
    """Facts, figures, data, limits and the way to make it again; a licence that is not stated is told."""
    text = render(CARD)
    for part in (
        "# tiny",
        "owner/tiny",
        "0" * 40,
        "12,345",
        "0.9500",
        "ten pairs",
        "English alone",
        CARD.rebuild,
    ):
        assert part in text
    assert "| licence | not stated |" in text
    assert r"| int8 \| 7 bits | 0.9500 |" in text
    assert "| float32 |  |" in text


def test_a_card_comes_back(tmp_path: Path) -> None:
    """card.json holds what README.md was made of."""
    write_card(CARD, tmp_path)
    assert read_card(tmp_path) == CARD
    assert (tmp_path / "README.md").read_text() == render(CARD)


def test_cards_that_are_not_there_or_broken_are_named(tmp_path: Path) -> None:
    """Each with the file."""
    with pytest.raises(NotFound, match=r"card\.json"):
        read_card(tmp_path)
    (tmp_path / "card.json").write_text("{")
    with pytest.raises(InvalidInput, match=r"card\.json"):
        read_card(tmp_path)
