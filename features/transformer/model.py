"""The files of a transformer on disk: export writes them; stages and features read them."""

from pathlib import Path
from typing import Any

import msgspec

from features.errors import NotReady
from features.transformer.layout import Layout
from features.transformer.words import joined

MODEL = "model.onnx"
TOKENIZER = "tokenizer.json"
NOTES = "model.json"
PACKED = ("bert", "roberta", "xlm-roberta", "camembert", "distilbert", "electra", "modernbert")
"""Families whose graph reads packed tokens, by their model_type."""
PADDED = "padded"
"""The family of every other model: a graph that reads padded rows."""
FAMILIES = (*PACKED, PADDED)
SCORE = "score"
VECTOR = "vector"
TASKS = (SCORE, VECTOR)


class Golden(msgspec.Struct, frozen=True, kw_only=True):
    """What the model made of one input when it was exported.

    Attributes:
        texts: query and document, or one text alone.
        output: the score, or the first few numbers of the vector.
    """

    texts: tuple[str, ...]
    output: tuple[float, ...]


class Notes(msgspec.Struct, frozen=True, kw_only=True):
    """model.json.

    Attributes:
        family: whose graph it is, which says how it reads tokens.
        task: `score` of a pair, or `vector` of a text.
        dimension: of the vector; 0 for a score.
        normalised: whether vectors have length 1.
        variant: its precision.
        layout: the special tokens around texts.
        padding: the id that fills padded rows; packed graphs read none.
        max_tokens: the longest pair or text that it has positions for.
        digest: SHA-256 of model.onnx.
        reference: what parity was measured against.
        parity: variant → figures against the reference, as the exporter measured them.
        golden: a few inputs with what came out of them at export.
        source: where the checkpoint came from, in words; empty where it was made here.
        lender: another model file, relative to the folder, whose word vectors this one borrows; the digest is
            that of the whole model then.
    """

    family: str
    variant: str
    max_tokens: int
    layout: Layout
    digest: str
    task: str = SCORE
    dimension: int = 0
    normalised: bool = False
    padding: int = 0
    reference: str = ""
    parity: dict[str, dict[str, Any]] = {}
    golden: tuple[Golden, ...] = ()
    source: str = ""
    lender: str = ""

    @property
    def independent(self) -> bool:
        """Whether a pair's score is the same to the bit in any batch."""
        return self.variant == "int8"


def read_notes(directory: Path) -> Notes:
    """The notes of a model directory.

    Raises:
        NotReady: if there are none, or they are of a family or task that is not known here.
    """
    file = directory / NOTES
    try:
        notes = msgspec.json.decode(file.read_bytes(), type=Notes)
    except FileNotFoundError:
        message = f"has no {NOTES}; run `sluice train`, or `sluice models add`"
        raise NotReady(message, path=str(directory)) from None
    except msgspec.MsgspecError as error:
        raise NotReady(f"{NOTES} cannot be read: {error}", path=str(directory)) from None
    for value, known in ((notes.family, FAMILIES), (notes.task, TASKS)):
        if value not in known:
            raise NotReady(f"is a {value!r} model; there are {', '.join(known)}", path=str(file))
    return notes


def read_content(directory: Path, notes: Notes) -> bytes:
    """The whole of model.onnx, with the word vectors that it borrows.

    Raises:
        NotReady: if there is no such file.
        Corrupt: if the lender has no such vectors.
    """
    content = read_part(directory / MODEL)
    return joined(content, read_part(directory / notes.lender)) if notes.lender else content


def read_part(file: Path) -> bytes:
    """A file that a model cannot do without.

    Raises:
        NotReady: if there is no such file.
    """
    if not file.is_file():
        raise NotReady(f"has no {file.name}; run `sluice train`", path=str(file.parent))
    return file.read_bytes()


def copy_model(source: Path, directory: Path) -> None:
    """The model of one folder in another, whole, whatever it borrowed.

    Raises:
        NotReady: if a file is missing.
    """
    notes = read_notes(source)
    (directory / MODEL).write_bytes(read_content(source, notes))
    (directory / TOKENIZER).write_bytes(read_part(source / TOKENIZER))
    write_notes(directory, msgspec.structs.replace(notes, lender=""))


def write_notes(directory: Path, notes: Notes) -> None:
    """Write model.json."""
    (directory / NOTES).write_bytes(msgspec.json.format(msgspec.json.encode(notes), indent=2))
