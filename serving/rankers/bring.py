"""One version, brought from the store into memory by the loader's threads."""

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

import structlog

from features.errors import NotReady, Unavailable
from serving.rankers.failures import Failures
from serving.rankers.loader import Loader, Urgency
from serving.rankers.making import make
from serving.rankers.served import Handle, Load, Served, Source, key_of, shown
from serving.rankers.standing import Standing
from serving.rankers.weigh import Parts

log = structlog.get_logger()


class NoRoom(Exception):
    """A ranker that nobody has asked for does not fit."""


class Bring:
    """Loads versions and puts them where requests find them."""

    def __init__(
        self,
        store: Source,
        load: Load,
        standing: Standing,
        threads: int,
        loaded: Callable[[str], None],
        weigh: Callable[[Source, Handle], Parts],
        clock: Callable[[], float],
    ) -> None:
        self.failures = Failures(clock)
        self._store, self._load, self._standing = store, load, standing
        self._loaded, self._weigh, self._clock = loaded, weigh, clock
        self._loader: Loader[Served] = Loader(threads)
        self._asked: set[Handle] = set()

    def begin(self, handle: Handle, urgency: Urgency) -> Future[Served]:
        """The load of a version, begun or already under way.

        It raises NotReady for a version that fails its checks, Unavailable if the store is out of reach, and
        NoRoom for one that is loaded ahead and does not fit.
        """
        urgent = urgency < Urgency.AHEAD
        if urgent:
            self._asked.add(handle)
        begun = self._loader.want(handle, partial(self._bring, handle), urgency)
        if urgent:  # not before it is over: it may be asked for at any moment until then
            begun.add_done_callback(lambda _: self._asked.discard(handle))
        return begun

    def _bring(self, handle: Handle) -> Served:
        found = self._standing.loaded(handle)
        if found is not None:
            return found
        start = self._clock()
        try:
            parts = self._weigh(self._store, handle)
            if handle not in self._asked and not self._standing.held.fits(parts):
                self._standing.give_up(handle)
                raise NoRoom
            made = make(self._store, self._load, handle)
        except NoRoom:
            raise
        except (OSError, Unavailable) as error:
            log.error("store_out_of_reach", ranker=shown(key_of(handle)), version=handle[2], exc_info=error)
            raise Unavailable("the store is out of reach; try again shortly") from error
        except Exception as error:
            raise self._failed(handle, error) from error
        self._install(handle, made, parts, self._clock() - start)
        return made

    def _install(self, handle: Handle, made: Served, parts: Parts, cost_s: float) -> None:
        gone = self._standing.install(handle, made, parts, cost_s)
        self.failures.clear(handle)
        self._loaded("ok")
        log.info("serving", ranker=shown(key_of(handle)), version=handle[2])
        for each in gone:
            self._loaded("evicted")
            log.info("evicted", ranker=shown(key_of(each)), version=each[2])

    def _failed(self, handle: Handle, error: Exception) -> NotReady:
        key = key_of(handle)
        self.failures.note(handle)
        self._loaded("failed")
        kept = self._standing.version(key) or None
        log.error("load_failed", ranker=shown(key), version=handle[2], still_serving=kept, exc_info=error)
        return failed_checks(handle[2])


def failed_checks(version: str) -> NotReady:
    """What a caller is told, and no more: the reason may name files of this machine."""
    return NotReady(f"version {version} failed its checks; the server's log says why", path="ranker")
