"""`sluice`: one command a file, in the order in which they are used."""

import errno
import os
import shutil
import sys

import typer

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

In the order of use:

  sluice demo       the whole circle on the standard library's documentation, in a minute or two

  sluice check      read a cascade.toml, print its plan, or say in one sentence what is wrong

  sluice train      fit every stage from judgments, publish a bundle (`train-base`: one that tenants can
                    borrow from; `train-tenants`: a ranker for each of many tenants, borrowed from it)

  sluice teach      write down what a ranker or cross-encoder thinks of pairs, for a smaller one to learn

  sluice models     bring other people's cross-encoders and sentence encoders in

  sluice encode     make the vectors of a corpus before any request

  sluice retrieve   what a sentence encoder finds in a whole collection, and how much of it is relevant

  sluice evaluate   what each stage brings: nDCG@10, significance, cost, verdict

  sluice promote    let a published version serve (and `rollback`, `list`, `publish`)

  sluice serve      answer Rank calls over gRPC

  sluice tenants    who uses the service: quotas, credentials, audit log

  sluice documents  keep a tenant's documents in the service, so that requests send ids alone

  sluice rank       ask a server

  sluice status     what serves, what people do with it, and what each stage earns

  sluice experiment compare versions on live traffic: canary, interleaving, shadow

  sluice import     bring existing logs of clicks in (metarank, UBI, JSON lines, Parquet)

  sluice log        look after the event log: compact, stats

  sluice profiles   what is remembered of people for personal features: show, rebuild

  sluice forget     remove a person from the log and the profiles, and list the models that learned from them
"""

REFUSED = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS))
"""What this machine says where nothing is wrong with the input, nor with Sluice."""

app = typer.Typer(help=HELP, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
COMMANDS = {
    "demo": demo,
    "check": check,
    "train": train,
    "train-base": train_base,
    "train-tenants": train_tenants,
    "teach": teach,
    "encode": encode,
    "retrieve": retrieve,
    "evaluate": evaluate,
    "publish": publish,
    "promote": promote,
    "rollback": rollback,
    "list": listing,
    "serve": serve,
    "status": status,
    "rank": rank,
    "import": import_,
    "forget": forget,
}
for name, module in COMMANDS.items():
    app.command(name)(module.command)
models.app.command("distil-static")(distil_static.command)
app.add_typer(documents.app, name="documents")
app.add_typer(models.app, name="models")
app.add_typer(log.app, name="log")
app.add_typer(profiles.app, name="profiles")
app.add_typer(experiment.app, name="experiment")
app.add_typer(tenants.app, name="tenants")


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
