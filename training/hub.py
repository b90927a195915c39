"""Checkpoints from the Hugging Face hub: at one commit, safetensors alone, and never any code."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.errors import InvalidInput, NotReady, Unavailable

FILES = (
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "modules.json",
    "*/config.json",
    "README.md",
)
"""What is fetched. Pickled weights and Python files are not among them."""
COMMIT = re.compile(r"[0-9a-f]{40}")
NAMED = re.compile(r"[\w.-]+(/[\w.-]+)?")
NETWORK = {"TransportError", "RequestException", "LocalEntryNotFoundError", "OfflineModeIsEnabled"}
WAY_OUT = "name a local directory with config.json, model.safetensors and tokenizer.json instead"


@dataclass(frozen=True, slots=True)
class Fetched:
    """A checkpoint on this machine.

    Attributes:
        directory: where its files are.
        commit: the commit that they are of.
    """

    directory: Path
    commit: str


def fetch(name: str, revision: str | None = None) -> Fetched:
    """The files of a hub repository at a revision (a branch, a tag or a commit; `main` without one).

    Raises:
        InvalidInput: if this cannot be a hub id, or the hub has no such repository or revision.
        NotReady: if huggingface_hub is missing.
        Unavailable: if the hub cannot be reached.
    """
    check_id(name)
    try:
        import huggingface_hub
    except ImportError:
        raise NotReady("the hub needs huggingface_hub: pip install 'sluice[train]'") from None
    try:
        commit = resolved(huggingface_hub, name, revision)
        directory = huggingface_hub.snapshot_download(name, revision=commit, allow_patterns=list(FILES))
    except Exception as error:
        if not from_network(huggingface_hub, error):
            raise
        raise explained(huggingface_hub, error, name, revision) from error
    return Fetched(Path(directory), commit)


def check_id(name: str) -> None:
    """Refuse what cannot be a hub id.

    Raises:
        InvalidInput: saying what one looks like.
    """
    if not NAMED.fullmatch(name):
        raise InvalidInput(f"{name!r} is neither a directory nor a hub id such as owner/model")


def from_network(hub: Any, error: Exception) -> bool:
    """Whether the hub or the way to it failed; its client library has changed more than once."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, OSError | hub.errors.HfHubHTTPError) or bool(kinds & NETWORK)


def resolved(hub: Any, name: str, revision: str | None) -> str:
    """The commit of a revision; one that is a commit is asked of nobody."""
    if revision and COMMIT.fullmatch(revision):
        return revision
    found: str = hub.HfApi().model_info(name, revision=revision).sha
    return found


def explained(hub: Any, error: Exception, name: str, revision: str | None) -> InvalidInput | Unavailable:
    """What went wrong, and the way out."""
    at = f"{name}@{revision}" if revision else name
    errors = hub.errors
    if isinstance(error, errors.GatedRepoError):
        return InvalidInput(f"the hub gives {at} only to who accepted its terms; {WAY_OUT}")
    if isinstance(error, errors.RevisionNotFoundError):
        return InvalidInput(f"the hub has no revision {revision!r} of {name}")
    if isinstance(error, errors.RepositoryNotFoundError):
        return InvalidInput(f"the hub has no repository {name!r}, and there is no such directory")
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return Unavailable(f"the hub cannot be reached for {at} ({reason}); without network, {WAY_OUT}")
