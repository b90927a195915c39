"""`sluice`: one command a file, in the order in which they are used."""

import sys

import typer

from cli import (
    check,
    demo,
    distil_static,
    encode,
    evaluate,
    forget,
    import_,
    listing,
    log,
    models,
    promote,
    publish,
    rank,
    retrieve,
    rollback,
    serve,
    teach,
    train,
)
from cli.console import err
from features.errors import SluiceError

HELP = """Train, judge and serve learning-to-rank cascades.

In the order of use:

  sluice demo       the whole circle on the standard library's documentation, in a minute or two

  sluice check      read a cascade.toml, print its plan, or say in one sentence what is wrong

  sluice train      fit every stage from judgments, publish a bundle

  sluice teach      write down what a ranker or cross-encoder thinks of pairs, for a smaller one to learn

  sluice models     bring other people's cross-encoders and sentence encoders in

  sluice encode     make the vectors of a corpus before any request

  sluice retrieve   what a sentence encoder finds in a whole collection, and how much of it is relevant

  sluice evaluate   what each stage brings: nDCG@10, significance, cost, verdict

  sluice promote    let a published version serve (and `rollback`, `list`, `publish`)

  sluice serve      answer Rank calls over gRPC

  sluice rank       ask a server

  sluice import     bring existing logs of clicks in (metarank, UBI, JSON lines, Parquet)

  sluice log        look after the event log: compact, stats

  sluice forget     remove a person from the log, and list the models that learned from them
"""

app = typer.Typer(help=HELP, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
COMMANDS = {
    "demo": demo,
    "check": check,
    "train": train,
    "teach": teach,
    "encode": encode,
    "retrieve": retrieve,
    "evaluate": evaluate,
    "publish": publish,
    "promote": promote,
    "rollback": rollback,
    "list": listing,
    "serve": serve,
    "rank": rank,
    "import": import_,
    "forget": forget,
}
for name, module in COMMANDS.items():
    app.command(name)(module.command)
models.app.command("distil-static")(distil_static.command)
app.add_typer(models.app, name="models")
app.add_typer(log.app, name="log")


def main() -> None:
    """Run the command line; what is wrong with the input is one sentence and exit status 2."""
    try:
        app()
    except SluiceError as error:
        err.print(f"sluice: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
