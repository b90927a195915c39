"""What features learned, as .npz files: plain arrays, no pickle, the same bytes for the same arrays."""

import io
import zipfile
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.files import write_durably
from cascade.sharing import Shared
from features.errors import Corrupt
from features.feature import State
from features.featureset import FeatureSet


class Arrays(dict[str, NDArray[Any]]):
    """A state that several rankers may hold.

    Its arrays are left writable, though nobody may: read-only ones are another type to compiled kernels.
    """


STATES: Shared[Arrays] = Shared()
"""The process's states. A corpus's frequencies are megabytes, and tenants that borrow have their base's."""

READING = Lock()


def save_states(directory: Path, features: FeatureSet) -> None:
    """A file `<position>.npz` for every feature that learned something."""
    for position, feature in enumerate(features.features):
        state = features.states.get(feature.name, {})
        if state:
            write_durably(directory / f"{position}.npz", pack(state))


def load_states(directory: Path, features: FeatureSet) -> FeatureSet:
    """The declared features with the states of a directory.

    Raises:
        Corrupt: naming the file that holds no plain arrays.
    """
    states = {}
    for position, feature in enumerate(features.features):
        path = directory / f"{position}.npz"
        states[feature.name] = unpack(path) if path.is_file() else {}
    return FeatureSet(features.features, states)


def pack(state: State) -> bytes:
    """The bytes of an .npz file; `np.savez` would stamp nothing either, but takes `file` for itself."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in sorted(state.items()):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
    return buffer.getvalue()


def unpack(path: Path) -> State:
    """The arrays of an .npz file, shared with whoever has the same file open."""
    try:
        return STATES.of(path.read_bytes(), read_arrays)
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise Corrupt(f"features/{path.name} holds no plain arrays: {error}") from None


def read_arrays(content: bytes) -> Arrays:
    """The arrays of an .npz file's bytes; one at a time, as numpy parses headers with `ast`, which fails now
    and then where several threads do it at once (CPython 3.11)."""
    with READING, np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return Arrays((name, archive[name]) for name in archive.files)
