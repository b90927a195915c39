"""`sluice`: one command a file, in the order in which they are used."""

import errno
import os
import shutil
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from cli import (
    check,
    demo,
    distil_static,
    documents,
    encode,
    evaluate,
    experiment,
    forget,
    import_,
    listing,
    log,
    models,
    profiles,
    promote,
    publish,
    rank,
    retrieve,
    rollback,
    serve,
    status,
    teach,
    tenants,
    train,
    train_base,
    train_tenants,
)
from cli.console import err
from features.errors import SluiceError

HELP = """Train, judge and serve learning-to-rank cascades.

`sluice demo` shows the whole circle in a minute or two; `sluice COMMAND --help` tells more of each.
"""

REFUSED = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS))
"""What this machine says where nothing is wrong with the input, nor with Sluice."""

COMMANDS: dict[str, tuple[Any, str]] = {
    "demo": (demo, "the whole circle on the standard library's documentation"),
    "check": (check, "read a cascade.toml: its plan, or what is wrong with it"),
    "train": (train, "fit every stage from judgments or a log, publish a bundle"),
    "train-base": (train_base, "one ranker that tenants can borrow from"),
    "train-tenants": (train_tenants, "a ranker for each of many tenants, from a base"),
    "teach": (teach, "scores of a ranker, for a smaller one to learn from"),
    "models": (models, "bring other people's models in"),
    "encode": (encode, "the vectors of a corpus, before any request"),
    "retrieve": (retrieve, "what a sentence encoder finds in a whole collection"),
    "evaluate": (evaluate, "what each stage brings: nDCG@10, significance, cost"),
    "publish": (publish, "put a bundle into a store"),
    "promote": (promote, "let a published version serve, if the gate agrees"),
    "rollback": (rollback, "let the version before serve again"),
    "list": (listing, "the versions in a store"),
    "serve": (serve, "answer Rank calls over gRPC"),
    "tenants": (tenants, "who uses the service: quotas, credentials, audit log"),
    "documents": (documents, "keep documents in the service: requests send ids alone"),
    "rank": (rank, "ask a server"),
    "status": (status, "what serves, and what each stage earns"),
    "experiment": (experiment, "compare versions on live traffic"),
    "import": (import_, "bring existing logs of clicks in"),
    "log": (log, "look after the event log: compact, stats"),
    "profiles": (profiles, "what is remembered of people for personal features"),
    "forget": (forget, "remove a person from the log and the profiles"),
}
"""In the order of use: a module has a `command`, or an `app` with several."""


class InOrder(TyperGroup):
    """Lists commands in the order in which they are used."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """Their names."""
        return list(COMMANDS)


app = typer.Typer(
    cls=InOrder, help=HELP, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None
)
models.app.command("distil-static")(distil_static.command)
for name, (module, told) in COMMANDS.items():
    if hasattr(module, "app"):
        app.add_typer(module.app, name=name, short_help=told)
    else:
        app.command(name, short_help=told)(module.command)


def main() -> None:
    """Run the command line; what is wrong with the input is one sentence and exit status 2, and what this
    machine refuses (a full disk, a folder that may not be written) one sentence and exit status 1.
    """
    try:
        app()
    except SluiceError as error:
        fail(str(error), 2)
    except shutil.Error as error:  # of a folder that was being copied: (from, to, why) of each of its files
        fail(str(error.args[0][0][-1]), 1)
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        where = f"{error.filename}: " if error.filename else ""
        fail(f"{where}{os.strerror(error.errno)}", 1)


def fail(message: str, status: int) -> None:
    """Say what went wrong, and end."""
    err.print(f"sluice: {message}", style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(status)
