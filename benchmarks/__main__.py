"""`python -m benchmarks [NAME | short] [--json FILE] [options of the benchmark]`."""

import argparse
from collections.abc import Sequence
from inspect import signature
from pathlib import Path

from benchmarks.harness import benchmarks, load, report

ALL_SHORT = "short"


def main() -> None:
    """List the benchmarks, or run one of them, or all the short ones."""
    known = benchmarks()
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description="Without a name, list the benchmarks."
    )
    parser.add_argument("name", nargs="?", choices=[*known, ALL_SHORT])
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the rows to FILE (a folder for `short`)"
    )
    asked, own = parser.parse_known_args()
    if own and (asked.name in (None, ALL_SHORT) or not takes_options(asked.name)):
        parser.error(f"unknown options: {' '.join(own)}")
    if asked.name is None:
        for name, summary in {**known, ALL_SHORT: "All the short ones."}.items():
            print(f"{name:15} {summary}")
    elif asked.name == ALL_SHORT:
        for name in known:
            if load(name).SHORT:
                run(name, asked.json / f"{name}.json" if asked.json else None)
    else:
        run(asked.name, asked.json, own)


def takes_options(name: str) -> bool:
    """Whether a benchmark has options of its own: its `run` takes a list of arguments."""
    return bool(signature(load(name).run).parameters)


def run(name: str, file: Path | None, own: Sequence[str] = ()) -> None:
    """Run one benchmark and report it."""
    report(name, list(load(name).run(own) if own else load(name).run()), file)


if __name__ == "__main__":
    main()
