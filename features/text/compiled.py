"""Compiles the text kernels with numba.

Why a compiler: tokenising and hashing 100 documents of 12 and 55 words (90 and 400 characters) takes 0.2 and
0.6 µs a document here, 0.5 and 1.8 µs with vectorised numpy (ASCII alone), 1.9 and 7.6 µs with `re`; phrases
and smallest windows have no numpy form at all. The price: 0.3 s and 65 MB for `import numba`, then 0.4 s and
some 50 MB once a process to load the kernels from numba's cache. Where there is no cache yet, compiling
all of them takes about 12 s of processor time (18 to 32 s on a busy machine) and 100 MB more, so an image
or an installation should run `python -m features.warm` once; `make setup` does.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """The function compiled on first use, without the GIL; cached on disk where a folder is writable."""
    try:
        return cast(F, numba.njit(nogil=True, cache=True)(function))
    except RuntimeError:  # no folder that the cache could be written to
        return cast(F, numba.njit(nogil=True)(function))


def inlined(function: F) -> F:
    """A helper of kernels in its own file, which the compiler puts into each of its callers."""
    return cast(F, numba.njit(nogil=True)(function))
