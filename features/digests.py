"""SHA-256 of files, worked out once as long as a file stays the same one.

A file is taken for the same by its device, inode, size and time of change, as `make` and rsync take it. So
thousands of bundles with hard links to one model are verified by reading it once, and a version that was
loaded before is verified by its few stamps. A disk that changes bytes behind the file system's back is
noticed by the first load of every process.
"""

import hashlib
from collections import OrderedDict
from pathlib import Path
from threading import Lock

MOST = 100_000
"""Files that are remembered."""

_known: OrderedDict[tuple[int, int, int, int], str] = OrderedDict()
_lock = Lock()


def digest(path: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits."""
    stat = path.stat()
    key = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
    found = _known.get(key)
    if found is None:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        with _lock:
            _known[key] = found
            while len(_known) > MOST:
                _known.popitem(last=False)
    return found
