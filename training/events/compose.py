"""The joined table of a part, out of its pages and its interactions."""

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cascade.eventlog.hashing import Hashes
from cascade.events import MICROS
from features.columns import Doubles, Rows
from training.events.behaviour import behaviour
from training.events.bots import among, spells
from training.events.match import Verdicts, judged
from training.events.pages import Flags, Shown, along_items, flatten, laid_out
from training.events.prepare import Prepared
from training.events.rules import Counts, Rules, Window
from training.events.schema import JOINED, PAGE, Logged, Pages


def compose(part: Prepared, tenant: str, window: Window, rules: Rules, bots: Hashes) -> tuple[Pages, Counts]:
    """The pages of the window with what became of their items, and what became of the interactions."""
    pages, found = part
    seen = spells(pages, found)
    bot_page, inside = among(seen.pages, bots), within(pages.time_us, window)
    bot = among(seen.interactions, bots)
    matched = found.page >= 0
    bot[matched] |= bot_page[found.page[matched]]
    verdicts = judged(found, pages, inside, bot, rules)
    kept = inside & ~bot_page
    chosen, renumbered = some_pages(pages, kept)
    rows = np.flatnonzero(verdicts.joined)
    table = found.table.take(pa.array(rows))
    dwell, bad, capped = dwells(table, rules)
    item = renumbered[found.item[rows]]
    became = behaviour(item, found.time_us[rows], table, dwell, chosen)
    made = joined_table(chosen, tenant, dict(became))
    told = pc.fill_null(table["position"], 0).to_numpy()
    counts = counted(verdicts) + Counts(
        pages=len(chosen.table),
        items=len(chosen.page),
        pages_clicked=len(np.unique(chosen.page[np.asarray(became["clicked"]).astype(bool)])),
        bot_pages=int((inside & bot_page).sum()),
        moved=int(((told > 0) & (told != chosen.position[item])).sum()),
        bad_dwell=bad,
        capped_dwell=capped,
    )
    return Pages(made, chosen.offsets, logged(chosen)), counts


def within(time_us: Rows, window: Window) -> Flags:
    """bool[q]: pages of the window."""
    last: int = window.watermark_us - int(window.settle_s * MICROS)
    return (time_us >= window.since_us) & (time_us < last)


def some_pages(pages: Shown, kept: Flags) -> tuple[Shown, Rows]:
    """The pages that stay, and int64[n]: the new row of each item (of a dropped one, nothing of use)."""
    if kept.all():
        return pages, np.arange(len(pages.page))
    renumbered = np.cumsum(kept[pages.page]) - 1
    return laid_out(pages.table.filter(pa.array(kept)).combine_chunks()), renumbered


def dwells(table: pa.Table, rules: Rules) -> tuple[Doubles, int, int]:
    """(seconds, NaN = not measured; how many were impossible; how many were capped)."""
    told = table["dwell_s"].is_valid().to_numpy()
    seconds = pc.fill_null(table["dwell_s"], np.nan).to_numpy()
    bad = told & ~(seconds >= 0)
    capped = told & ~bad & (seconds > rules.dwell_cap_s)
    clean = np.where(bad, np.nan, np.minimum(seconds, rules.dwell_cap_s))
    return clean, int(bad.sum()), int(capped.sum())


def counted(verdicts: Verdicts) -> Counts:
    """How many interactions each verdict fell on."""
    return Counts(**{name: int(getattr(verdicts, name).sum()) for name in Verdicts.__slots__})


def joined_table(pages: Shown, tenant: str, became: dict[str, pa.Array]) -> pa.Table:
    """The columns in the order of the schema."""
    columns = {**page_columns(pages, tenant), **item_columns(pages), **became}
    return pa.table([columns[field.name] for field in JOINED], JOINED)


def page_columns(pages: Shown, tenant: str) -> dict[str, pa.Array]:
    """What is the same in all rows of a page."""
    owner = pa.array(pages.page.astype(np.int32))
    made = {"time": pages.table["time"].combine_chunks().take(owner)}
    for name in PAGE.names:
        if name == "tenant":
            made[name] = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(owner), np.int32)), [tenant])
        elif name != "time":
            words = pc.fill_null(pages.table[name].combine_chunks(), "").dictionary_encode()
            made[name] = pa.DictionaryArray.from_arrays(words.indices.take(owner), words.dictionary)
    return made


def item_columns(pages: Shown) -> dict[str, pa.Array]:
    """What was shown."""
    scores, chances, teams = (
        along_items(pages.table, name, pages.page) for name in ("scores", "propensities", "teams")
    )
    return {
        "candidate_id": pages.candidates,
        "position": pa.array(pages.position.astype(np.int32)),
        "score": pa.array(scores, from_pandas=False),
        "propensity": pa.array(chances, from_pandas=False),
        "team": pa.array(teams, from_pandas=False),
    }


def logged(pages: Shown) -> tuple[Logged, ...]:
    """The features that were logged, by feature set; none where the join did not bring them."""
    if "features" not in pages.table.column_names:
        return ()
    words = [pc.fill_null(pages.table[name].combine_chunks(), "") for name in ("fingerprint", "names")]
    keys = pc.binary_join_element_wise(*words, "\n").dictionary_encode()
    codes = keys.indices.to_numpy()
    each = enumerate(text.partition("\n") for text in keys.dictionary.to_pylist())
    made = (of_set(pages, print_, names, np.flatnonzero(codes == code)) for code, (print_, _, names) in each)
    return tuple(one for one in made if one is not None)


def of_set(pages: Shown, fingerprint: str, names: str, rows: Rows) -> Logged | None:
    """The features of the pages that were logged under one set; None where they are not whole."""
    wide = tuple(msgspec.json.decode(names, type=list[str])) if names else ()
    sizes = np.diff(pages.offsets)[rows]
    flat = flatten(pages.table["features"].take(pa.array(rows)))
    if not wide or len(flat) != sizes.sum() * len(wide):
        return None
    values = flat.to_numpy(zero_copy_only=False).reshape(-1, len(wide))
    return Logged(fingerprint, wide, spread(pages.offsets, rows, sizes), values)


def spread(offsets: Rows, pages: Rows, sizes: Rows) -> Rows:
    """int64: the rows of some pages' items."""
    starts = np.repeat(offsets[pages] - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes)
    rows: Rows = starts + np.arange(len(starts))
    return rows
