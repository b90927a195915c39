"""The threads that keep a catalogue in line with its store."""

import threading
from collections.abc import Callable

import structlog

from features.errors import SluiceError
from serving.rankers.catalogue import Catalogue

log = structlog.get_logger()


class Watch:
    """Loads rankers ahead in one thread, and notices promotions in another, so that neither holds up the
    other."""

    def __init__(
        self,
        catalogue: Catalogue,
        every_s: float,
        on_ready: Callable[[], None],
        on_turn: Callable[[], None] = lambda: None,
    ) -> None:
        self._catalogue, self._every_s, self._on_ready, self._on_turn = catalogue, every_s, on_ready, on_turn
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=name, daemon=True)
            for name, work in (("rankers", self._watch), ("preload", self._preload))
        ]

    def start(self) -> None:
        """Load ahead, and keep watching."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Watch no longer. A load under way is left to the end of the process."""
        self._stop.set()

    def _preload(self) -> None:
        while not self._stop.is_set() and not self._catalogue.ready.is_set():
            try:
                self._catalogue.preload(self._stop.is_set)
            except (OSError, SluiceError) as error:
                log.error("store_out_of_reach", exc_info=error)
                self._stop.wait(self._every_s)
        if not self._stop.is_set():
            self._on_ready()

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                self._catalogue.notice()
            except (OSError, SluiceError) as error:
                log.error("store_out_of_reach", exc_info=error)
            self._on_turn()
            self._stop.wait(self._every_s)
