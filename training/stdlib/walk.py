"""Read the documentation of the running interpreter's standard library.

This file is a script, free of imports of Sluice: `corpus.documents` runs it in a child
interpreter started with `-I -S -W ignore` and reads JSON lines from its standard output. A child,
because importing some three hundred modules registers codecs, atexit hooks and completers
that have no business in a service's process, and because site packages that patch the
standard library would otherwise leak into the collection.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import io
import json
import pkgutil
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

# Easter eggs, test suites, private twins of public modules, widgets, one module per codec.
SKIPPED = frozenset(
    str.split(
        "antigravity distutils encodings ensurepip genericpath idlelib lib2to3 msilib nt ntpath "
        "nturl2path opcode posix posixpath pydoc_data sre_compile sre_constants sre_parse this "
        "test tkinter turtle turtledemo"
    )
)
SKIPPED_PARTS = frozenset({"__main__", "macholib", "test", "tests"})

ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
PLAIN = (type(None), bool, int, float, str, bytes)
DESCRIPTORS = (classmethod, staticmethod, property, functools.cached_property)
METHODS = (*DESCRIPTORS, FunctionType, type(str.join), type(vars(dict)["fromkeys"]))


class Entry(NamedTuple):
    """A public name and its object; `lineage` counts the ancestors of a method's class."""

    name: str
    module: str
    kind: str
    value: Any
    lineage: int = 0


def module_names() -> Iterator[str]:
    """Names of public importable modules, packages before their submodules."""
    for top in sorted(sys.stdlib_module_names - SKIPPED):
        if not top.startswith("_"):
            yield from with_submodules(top)
    yield "os.path"


def with_submodules(name: str) -> Iterator[str]:
    """`name`, then its public submodules; nothing when it does not import here."""
    module = load(name)
    if module is None:
        return
    yield name
    found = pkgutil.iter_modules(getattr(module, "__path__", ()))
    for part in sorted(info.name for info in found):
        if not part.startswith("_") and part not in SKIPPED_PARTS:
            yield from with_submodules(f"{name}.{part}")


def load(name: str) -> ModuleType | None:
    """The module, or None when this platform lacks it (`winreg` on Linux, say)."""
    try:
        return importlib.import_module(name)
    except (ImportError, AttributeError, OSError):
        return None


def module_entries(name: str) -> Iterator[Entry]:
    """The module itself, its public members, and the methods of its classes."""
    module = importlib.import_module(name)
    yield Entry(name, name, "module", module)
    prefix = "" if name == "builtins" else f"{name}."
    for member in public_members(module, name):
        value = getattr(module, member, None)
        kind = kind_of(value)
        if kind:
            yield Entry(prefix + member, name, kind, value)


def public_members(module: ModuleType, name: str) -> list[str]:
    """`__all__` where declared; else the names defined here, not the imported ones.

    A package shows both, for `asyncio.__all__` of 3.11 forgets `TaskGroup`.
    """
    declared = getattr(module, "__all__", None)
    if declared is not None and not hasattr(module, "__path__"):
        return sorted(set(declared))
    native = {m for m, v in vars(module).items() if not m.startswith("_") and is_native(v, name)}
    return sorted(native.union(declared or ()))


def is_native(value: object, module: str) -> bool:
    """Whether a value was defined in this package, `_x` counting as `x`."""
    origin = getattr(value, "__module__", None)
    if module == "builtins" or not isinstance(origin, str):
        return module == "builtins"
    home = first(origin.removeprefix("_frozen_").lstrip("_"))
    return home.removesuffix("_external") == first(module)


def kind_of(value: Any) -> str:
    """The document kind of a module member, or "" for a constant or a submodule."""
    if inspect.isclass(value):
        return "exception" if issubclass(value, BaseException) else "class"
    if inspect.isroutine(value) or hasattr(value, "__wrapped__"):
        return "function"
    borrowed = (type(value).__doc__, getattr(getattr(value, "__origin__", None), "__doc__", None))
    return "class" if callable(value) and value.__doc__ not in borrowed else ""


def method_entries(owner: Entry, public: frozenset[int]) -> Iterator[Entry]:
    """Public methods and properties, those of private bases included.

    A public base documents its methods under its own name; a private one has no name to
    document them under (`pathlib._abc.PathBase` on 3.13).
    """
    seen: set[str] = set()
    for base in owner.value.__mro__:
        if base is not owner.value and id(base) in public:
            continue
        for name, value in sorted(vars(base).items()):
            if not name.startswith("_") and name not in seen and isinstance(value, METHODS):
                seen.add(name)
                path = f"{owner.name}.{name}"
                yield Entry(path, owner.module, "method", value, len(owner.value.__mro__))


def entries() -> list[Entry]:
    """Every public name of the library, aliases included."""
    found = [entry for name in module_names() for entry in module_entries(name)]
    classes = [entry for entry in found if inspect.isclass(entry.value)]
    public = frozenset(id(entry.value) for entry in classes)
    return found + [method for owner in classes for method in method_entries(owner, public)]


def identity(entry: Entry) -> tuple[int, str]:
    """What two aliases share: the function below a method, the value otherwise.

    A method bound to a hidden instance (`secrets.choice`) means what the instance makes of it.
    """
    value = entry.value
    hidden = inspect.ismethod(value) and not inspect.isclass(value.__self__)
    return id(getattr(value, "__func__", value)), first(entry.name) if hidden else ""


def preference(entry: Entry) -> tuple[bool, bool, int, int, int, str]:
    """Sort key that puts the canonical alias first: own name, home module, shortest."""
    name, kind, value = entry.name, entry.kind, entry.value
    own = kind in ("module", "method") or getattr(value, "__name__", None) == last(name)
    home = kind == "module" or is_native(value, entry.module)
    return not own, not home, name.count("."), entry.lineage, len(name), name


def first(name: str) -> str:
    """The part of a dotted name before its first dot."""
    return name.split(".", 1)[0]


def last(name: str) -> str:
    """The part of a dotted name after its last dot."""
    return name.rpartition(".")[2]


def canonical(found: Iterable[Entry]) -> list[Entry]:
    """One entry per object and per name, in order of name."""
    best: dict[tuple[int, str], Entry] = {}
    for entry in sorted(found, key=preference):
        best.setdefault(identity(entry), entry)
    return sorted({entry.name: entry for entry in best.values()}.values())


def docstring(value: Any) -> str:
    """The cleaned docstring of the object itself, never one that it inherits.

    A class without one (`ThreadPoolExecutor`) is described by its own constructor.
    """
    text = getattr(value, "__doc__", None)
    if text is None and inspect.isclass(value):
        own = vars(value).get("__init__")
        text = own.__doc__ if inspect.isfunction(own) else None
    return ADDRESS.sub("", inspect.cleandoc(text)) if isinstance(text, str) else ""


def signature(value: Any) -> str:
    """The call signature, or "" when the interpreter does not know one.

    Defaults other than plain values become `...`: `os.environ` is a default somewhere,
    and the user's environment must not end up in a search index.
    """
    try:
        found = inspect.signature(getattr(value, "__func__", value))
    except (AttributeError, TypeError, ValueError):
        return ""
    shown = [hide_default(parameter) for parameter in found.parameters.values()]
    return ADDRESS.sub("", str(found.replace(parameters=shown))).replace("Ellipsis", "...")


def hide_default(parameter: inspect.Parameter) -> inspect.Parameter:
    """The parameter with a default that prints the same on every machine."""
    default = parameter.default
    local_path = isinstance(default, str) and Path(default).is_absolute()
    if default is inspect.Parameter.empty or (isinstance(default, PLAIN) and not local_path):
        return parameter
    return parameter.replace(default=...)


def record(entry: Entry, text: str) -> dict[str, str]:
    """What only the interpreter knows of a document; `corpus` derives the rest."""
    return {
        "_id": entry.name,
        "kind": entry.kind,
        "module": entry.module,
        "signature": "" if entry.kind == "module" else signature(entry.value),
        "text": text,
    }


def collect() -> Iterator[dict[str, str]]:
    """Records in order of id; of twins in one package only the shortest name stays."""
    twins: dict[tuple[str, str, str], Entry] = {}
    for entry in sorted(canonical(entries()), key=preference):
        text = docstring(entry.value)
        if text and text != "An enumeration.":
            key = (first(entry.name), last(entry.name), text)
            twins.setdefault(key, entry)
    chosen = sorted((entry.name, entry, key[2]) for key, entry in twins.items())
    return (record(entry, text) for _, entry, text in chosen)


def main() -> None:
    """Print the records as JSON lines, and nothing that an import may print."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        lines = [json.dumps(found) for found in collect()]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
