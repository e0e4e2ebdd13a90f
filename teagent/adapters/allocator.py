"""The C library's allocator and the interpreter's, for a process of several threads that work in turns on large
columns. What is asked of the C library is asked of glibc, and of no other.
"""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from typing import Final

M_ARENA_MAX: Final = -8  # malloc.h of glibc


def use_one_arena() -> None:
    """To be called before there are threads.

    glibc has an arena for each thread, up to eight for each core (mallopt(3)). Here the interpreter's lock lets the
    threads allocate in turns anyway, and what one has made another one frees: columns that the flow intake makes are
    freed by whoever has counted them. So each arena comes to hold as much free memory as was ever in use in it, and
    memory grows for many windows after it is known how much is needed at once.
    """
    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


def give_back_free_memory() -> None:
    """To the kernel, pages in the midst of what is in use among them (malloc_trim(3)): by itself glibc gives back
    only what lies at the end of an arena. Takes milliseconds, and as much again when the pages are wanted anew.

    Before that the interpreter's stores of free tuples, lists and the like are emptied: each of them that was made
    while much was in use keeps a mebibyte from being free.
    """
    gc.freeze()  # A full collection is what empties them. It need not look at any object for that.
    gc.collect()
    gc.unfreeze()
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
