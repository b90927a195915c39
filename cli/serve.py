"""`sluice serve`: answer Rank calls over gRPC."""

import gc
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from serving.settings import Settings


def command(
    store: Annotated[Path | None, typer.Option(help="Directory of the store.", metavar="DIR")] = None,
    log: Annotated[
        Path | None, typer.Option(help="Directory of the event log. [STORE-log]", metavar="DIR")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Where to listen. [127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="0 takes any free one. [50051]")] = None,
    settings: Annotated[
        Path | None, typer.Option(help="TOML with these and the limits; flags win.", metavar="FILE")
    ] = None,
    metrics_port: Annotated[int | None, typer.Option(help="Prometheus page on the same host.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Requests that compute at the same time; 0 = one a core.")
    ] = None,
    insecure: Annotated[
        bool | None, typer.Option("--insecure", help="Let other machines in without credentials.")
    ] = None,
) -> None:
    """Serve the promoted rankers of a store until SIGTERM or Ctrl-C, then finish what is in flight."""
    from serving.observe import configure_logs
    from serving.settings import load_settings

    flags = {
        "store": str(store) if store else None,
        "log": str(log) if log else None,
        "host": host,
        "port": port,
        "metrics_port": metrics_port,
        "workers": workers,
        "insecure": insecure,
    }
    loaded = load_settings(settings, flags)
    configure_logs()
    serve(loaded)


def serve(settings: "Settings") -> None:
    """Run a server until a signal ends it."""
    from cascade.store import DirectoryStore
    from features.transformer.session import SESSIONS, SessionSettings
    from serving.server import Server

    SESSIONS.settings = SessionSettings(threads=settings.inference_threads)
    server = Server(settings, DirectoryStore(existing(settings.store)))
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    server.start()
    threading.Thread(
        target=announce, args=(server.ready, f"{settings.host}:{server.port}"), daemon=True
    ).start()
    ending.wait()
    server.drain()


GARBAGE = 20_000
"""New objects between two collections: requests make hundreds and hardly a cycle, so that the interpreter's
default of 700 would look through each of them in vain."""


def announce(ready: threading.Event, address: str) -> None:
    """Say where, once every ranker is loaded: scripts wait for this line."""
    ready.wait()
    gc.collect()
    gc.freeze()  # modules and models live as long as the process: no collection need look at them again
    gc.set_threshold(GARBAGE)
    typer.echo(f"serving on {address}")


def existing(store: str) -> Path:
    """The store's directory.

    Raises:
        NotFound: if it is not there; an empty one is fine, a misspelt one is not.
    """
    from features.errors import InvalidConfig, NotFound

    if not store:
        raise InvalidConfig("name one with --store DIR, or in the settings", path="$.store")
    if not Path(store).is_dir():
        raise NotFound(f"no directory {store}; `sluice train` makes one", path="--store")
    return Path(store)
