"""A profile store by where it is: a folder, or the URL of a Redis."""

from pathlib import Path

from cascade.profiles.store import ProfileStore

GIB = 1 << 30


def is_redis(where: str) -> bool:
    """Whether that names a Redis."""
    return where.startswith(("redis://", "rediss://", "unix://"))


def open_profiles(where: str, *, timeout_s: float = 5.0, max_gb: int = 64) -> ProfileStore:
    """The store of a place.

    Raises:
        NotReady: if a package is missing.
        Unavailable: if it cannot be opened.
    """
    if is_redis(where):
        from cascade.profiles.redis_store import RedisProfiles

        return RedisProfiles(where, timeout_s)
    from cascade.profiles.lmdb_store import LmdbProfiles

    return LmdbProfiles(Path(where), max_gb * GIB)


def beside(log_root: Path) -> Path:
    """Where the embedded store of a log lies unless told otherwise."""
    return log_root.with_name(f"{log_root.name}-profiles")
