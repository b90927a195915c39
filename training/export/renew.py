"""An exported model once more, from its own weights: the graph that today's exporter writes.

    from training.export.renew import renew

    report = renew(Path("old"), Path("new"), pairs)

For a model whose checkpoint is gone, when the graph has become faster since. Activation constants are
calibrated anew, so scores move by about what int8 moved them from full precision: publish it as another
version, and look at `report.parity`.
"""

from collections.abc import Sequence
from pathlib import Path

from training.export.exporter import Report, export
from training.export.parity import Gate
from training.export.reading import Texts
from training.export.restore import restore


def renew(
    directory: Path,
    out: Path,
    calibration: Sequence[Texts],
    *,
    gate: Gate | None = None,
    max_tokens: int = 256,
    query_tokens: int = 64,
) -> Report:
    """Write the model in `directory` to `out` as `export` writes a checkpoint.

    Args:
        directory: model.onnx, tokenizer.json and model.json of a BERT.
        out: the directory to make; one that exists is replaced.
        calibration: real (query, document) pairs.
        gate: what the new graph may lose against its own weights in full precision.
        max_tokens, query_tokens: of a pair, as the stage will use them.

    Raises:
        InvalidInput: if the graph was not written by `training.export`, or is of another family than BERT.
        NotReady: if no variant passes.
    """
    checkpoint, source = restore(directory), str(directory.name)
    return export(
        checkpoint,
        out,
        calibration,
        gate=gate,
        max_tokens=max_tokens,
        query_tokens=query_tokens,
        source=source,
    )
