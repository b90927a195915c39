"""What features learned, as .npz files: plain arrays, no pickle, the same bytes for the same arrays."""

import io
import zipfile
from pathlib import Path

import numpy as np

from cascade.files import write_durably
from features.errors import Corrupt
from features.feature import State
from features.featureset import FeatureSet


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
    """The arrays of an .npz file."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise Corrupt(f"features/{path.name} holds no plain arrays: {error}") from None
