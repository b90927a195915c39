"""What a checkpoint gives: a score, or a vector pooled as the files of sentence-transformers say.

`modules.json` lists a sentence encoder's modules; `1_Pooling/config.json` says how tokens become one vector.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from features.errors import InvalidInput
from features.transformer.model import SCORE, TASKS, VECTOR
from training.export.checkpoint import read_json
from training.export.families.base import CLS, MEAN, Output
from training.export.families.config import NotPacked

MODULES = "modules.json"
POOLINGS = (MEAN, CLS)
TRANSFORMER, POOLING, NORMALIZE = "Transformer", "Pooling", "Normalize"
MODES = {"pooling_mode_mean_tokens": MEAN, "pooling_mode_cls_token": CLS}


def output_of(
    directory: Path | None, task: str, pooling: str | None = None, normalised: bool | None = None
) -> Output:
    """The output of a checkpoint; what is not given is as its directory says, or mean and normalised.

    Raises:
        InvalidInput: for a task or pooling that is not known, or modules that are not exported.
    """
    for value, known, path in ((task, TASKS, "task"), (pooling or MEAN, POOLINGS, "pooling")):
        if value not in known:
            raise InvalidInput(f"is {value!r}; there are {', '.join(known)}", path=path)
    if task == SCORE:
        return Output(SCORE)
    said = declared(directory) if directory and (directory / MODULES).is_file() else Output(VECTOR)
    return Output(VECTOR, pooling or said.pooling, said.normalised if normalised is None else normalised)


def body_of(directory: Path) -> Path:
    """Where a checkpoint's transformer lies: in a folder of its own, if modules.json says so."""
    if not (directory / MODULES).is_file():
        return directory
    return directory / Path(read_modules(directory / MODULES).get(TRANSFORMER, "")).name


def declared(directory: Path) -> Output:
    """What modules.json and the pooling's config.json say."""
    modules = read_modules(directory / MODULES)
    unknown = sorted(set(modules) - {TRANSFORMER, POOLING, NORMALIZE})
    if unknown:
        message = f"has the modules {', '.join(unknown)}, which are not exported"
        raise NotPacked(message, path=str(directory / MODULES))
    pooling = MEAN
    if POOLING in modules:
        pooling = read_pooling(directory / modules[POOLING] / "config.json")
    return Output(VECTOR, pooling, NORMALIZE in modules)


def read_modules(file: Path) -> dict[str, str]:
    """Name of each module's class → its folder."""
    try:
        modules = json.loads(file.read_text(encoding="utf-8"))
        return {each["type"].rpartition(".")[2]: each.get("path", "") for each in modules}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidInput(f"is no list of modules: {error}", path=str(file)) from None


def read_pooling(file: Path) -> str:
    """The one way that tokens are pooled.

    Raises:
        NotPacked: for another way than these two, or several at once.
    """
    config: Mapping[str, Any] = read_json(file)
    named = config.get("pooling_mode")
    modes = [named] if isinstance(named, str) else [key for key, on in config.items() if is_mode(key, on)]
    found = [MODES.get(mode, mode) for mode in modes]
    if len(found) != 1 or found[0] not in POOLINGS:
        raise NotPacked(f"pools by {', '.join(found) or 'nothing'}; mean or cls is exported", path=str(file))
    return str(found[0])


def is_mode(key: str, on: object) -> bool:
    """Whether a key of the pooling's config.json turns a mode on."""
    return key.startswith("pooling_mode_") and on is True
