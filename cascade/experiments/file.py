"""A ranker's experiments as they lie beside its versions, in one file that is replaced whole."""

from pathlib import Path

import msgspec

from cascade.experiments.lifecycle import Experiments
from cascade.files import replace_durably
from features.errors import Corrupt

NAME = "experiments.json"


def read_experiments(home: Path) -> Experiments:
    """Those of the ranker whose folder it is; none where the file is not there.

    Raises:
        Corrupt: if the file is not what `write_experiments` writes.
    """
    try:
        return msgspec.json.decode((home / NAME).read_bytes(), type=Experiments)
    except FileNotFoundError:
        return Experiments()
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Corrupt(f"{error}; remove the file to end the experiment", path=str(home / NAME)) from None


def write_experiments(home: Path, experiments: Experiments) -> None:
    """Put them in the place of those before; the caller holds the ranker's lock."""
    replace_durably(home / NAME, msgspec.json.format(msgspec.json.encode(experiments)))
