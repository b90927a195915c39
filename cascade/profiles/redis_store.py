"""Profiles in Redis, which several servers share.

Keys carry the tenant as a hash tag, so that in a cluster all of a tenant's are in one slot and change
together. One MGET reads a request's profiles as of one moment; a change is WATCH, MGET, MULTI, EXEC, tried
anew where another server came between. Redis drops what has expired by itself. Every wait is bounded.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from cascade.profiles.keys import prefix_of
from cascade.profiles.store import Change, Changes, Key, Values
from features.errors import NotReady, Unavailable

T = TypeVar("T")

TRIES = 50
"""Changes of the same keys by other servers that one change outlives."""
AT_A_TIME = 1_000
SLACK_MS = 86_400_000
"""Redis drops a key by its own clock; profiles are judged by the clock of events."""


class RedisProfiles:
    """Keeps the contract of `ProfileStore`; how durable it is, is up to Redis's own settings.

    Args:
        url: `redis://host:port/db`, `rediss://` for TLS, `unix://`.
        timeout_s: for connecting, and for any answer.

    Raises:
        NotReady: if the package `redis` is not installed.
    """

    def __init__(self, url: str, timeout_s: float = 0.05) -> None:
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError:
            raise NotReady(
                "needs the package redis: pip install 'sluice[redis]'", path="$.profiles"
            ) from None
        self._errors: Any = (redis.RedisError, OSError)
        self._moved: Any = redis.WatchError
        self._redis: Any = redis.Redis.from_url(
            url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0)
        )

    def read(self, tenant: str, keys: Sequence[Key]) -> Values:
        """The values of some keys."""
        prefix = prefix_of(tenant)
        if not keys:
            return []
        return self._asked(lambda: list(self._redis.mget([prefix + key for key in keys])))

    def update(self, tenant: str, keys: Sequence[Key], change: Change) -> bool:
        """Change some keys.

        Raises:
            Unavailable: also where other servers keep changing them.
        """
        full = [prefix_of(tenant) + key for key in keys]
        for _ in range(TRIES):
            done = self._asked(lambda: self._tried(tenant, full, change))
            if done is not None:
                return done
        raise Unavailable("other servers keep changing the same profiles; try again")

    def clear(self, tenant: str) -> None:
        """Remove all of a tenant."""
        pattern = prefix_of(tenant) + b"*"
        self._asked(lambda: [self._redis.unlink(key) for key in self._redis.scan_iter(pattern, AT_A_TIME)])

    def sweep(self, now_us: int) -> int:  # noqa: ARG002 (Redis does it)
        """Nothing to do."""
        return 0

    def close(self) -> None:
        """Let go of the connections."""
        self._redis.close()

    def _tried(self, tenant: str, full: list[bytes], change: Change) -> bool | None:
        """Whether there was something to change; None where another server came between."""
        with self._redis.pipeline(transaction=True) as pipe:
            if full:
                pipe.watch(*full)
            changes = change(list(pipe.mget(full)) if full else [])
            if changes is None:
                return False
            pipe.multi()
            queue(pipe, prefix_of(tenant), changes)
            try:
                pipe.execute()
            except self._moved:
                return None
        return True

    def _asked(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except self._errors as error:
            raise Unavailable(f"Redis does not answer: {type(error).__name__}") from None


def queue(pipe: Any, prefix: bytes, changes: Changes) -> None:
    """Put changes into a transaction."""
    for key, entry in changes.items():
        if entry is None:
            pipe.delete(prefix + key)
        elif entry.expires_us:
            pipe.set(prefix + key, entry.value, pxat=entry.expires_us // 1_000 + SLACK_MS)
        else:
            pipe.set(prefix + key, entry.value)
