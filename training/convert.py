"""`python -m training.convert {wikiqa,trecqa,homedepot} IN OUT`: pair tables as a collection.

Every form is one row a judged pair. Equal texts become one document; a query keeps its own judged list.
"""

import csv
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from features.errors import InvalidInput, SluiceError
from training.files import at, lines

USAGE = "usage: python -m training.convert {wikiqa,trecqa,homedepot} IN.tsv[.gz] OUT"


@dataclass(frozen=True, slots=True)
class Pair:
    """One judged pair; `text` goes into the document's field `field`."""

    query: str
    field: str
    text: str
    grade: int


def answers(row: Mapping[str, str]) -> Pair:
    """A row of question, sentence and label, as WikiQA and TREC QA have it."""
    return Pair(row["question"], "text", row["sentence"], int(row["label"]))


def products(row: Mapping[str, str]) -> Pair:
    """A row of query, title and mean relevance from 1 to 3, which becomes a grade from 0 to 2."""
    return Pair(row["query"], "title", row["title"], round(float(row["relevance"])) - 1)


FORMS: dict[str, Callable[[Mapping[str, str]], Pair]] = {
    "wikiqa": answers,
    "trecqa": answers,
    "homedepot": products,
}


def pairs(form: str, path: Path) -> Iterator[Pair]:
    """The pairs of a table with a header.

    Raises:
        InvalidInput: for an unknown form, or naming the line that is none of it.
    """
    if form not in FORMS:
        raise InvalidInput(f"no form {form!r}; there are {', '.join(FORMS)}")
    numbered = lines(path)
    _, header = next(numbered, (1, ""))
    for number, line in numbered:
        cells = next(csv.reader([line], delimiter="\t", quoting=csv.QUOTE_NONE))
        try:
            yield FORMS[form](dict(zip(header.split("\t"), cells, strict=True)))
        except (ValueError, KeyError):
            raise InvalidInput(f"not a row of {form}: {line[:80]!r}", path=at(path, number)) from None


def convert(form: str, path: Path, folder: Path) -> tuple[int, int, int]:
    """Write the collection; its documents, queries and judgments. Of two grades the higher stays."""
    documents: dict[tuple[str, str], str] = {}
    queries: dict[str, str] = {}
    grades: dict[tuple[str, str], int] = {}
    for pair in pairs(form, path):
        document = documents.setdefault((pair.field, pair.text), f"d{len(documents)}")
        query = queries.setdefault(pair.query, f"q{len(queries)}")
        grades[query, document] = max(pair.grade, grades.get((query, document), 0))
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "corpus.jsonl", [{"_id": key, field: text} for (field, text), key in documents.items()])
    write(folder / "queries.jsonl", [{"_id": key, "text": text} for text, key in queries.items()])
    rows = [f"{query}\t{document}\t{grade}" for (query, document), grade in grades.items()]
    (folder / "qrels.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *rows, ""]), encoding="utf-8")
    return len(documents), len(queries), len(grades)


def write(path: Path, records: list[dict[str, str]]) -> None:
    """A file of JSON lines."""
    path.write_bytes(b"".join(msgspec.json.encode(record) + b"\n" for record in records))


def main(arguments: list[str]) -> int:
    """Run the command line."""
    if len(arguments) != 3:
        sys.stderr.write(USAGE + "\n")
        return 2
    form, source, folder = arguments
    try:
        counts = convert(form, Path(source), Path(folder))
    except SluiceError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write("{} documents, {} queries, {} judgments\n".format(*counts))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
