"""From a trained checkpoint to the packed int8 graph that the `cross_encoder` stage runs.

    from training.export import export

    report = export(Path("checkpoint"), Path("stage"), pairs)

`checkpoint` is a directory as `save_pretrained` writes it (config.json, model.safetensors, tokenizer.json),
or a `Checkpoint` in memory: `Checkpoint(config, tensors, tokenizer)` with numpy arrays, for example
`{name: value.float().numpy() for name, value in model.state_dict().items()}`, and the text of tokenizer.json.
`stage` is the directory to make: model.onnx, tokenizer.json and model.json. `pairs` are some hundred real
(query, document) texts, best with several of a query's real candidates each: scales are calibrated on one
part of them and parity is judged on another.

`task="vector"` exports a sentence encoder instead, whose texts stand alone.

Families with a packed graph are those of `training/export/families`, a small adapter each. Every other
architecture that transformers knows is exported as torch has it (`training/export/plain.py`).
"""

from training.export.checkpoint import Checkpoint, read_checkpoint
from training.export.exporter import Report, export
from training.export.judging import Judged
from training.export.parity import Gate, Parity

__all__ = ["Checkpoint", "Gate", "Judged", "Parity", "Report", "export", "read_checkpoint"]
