"""What is asked of malloc, in processes of their own: it holds for a whole process, and for good."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_stats"), reason="the C library is not glibc: it has no malloc_stats"
)

LIBC = """
import ctypes, resource, sys, threading

from teagent.adapters.allocator import give_back_free_memory, use_one_arena

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
"""

THREADS = f"""{LIBC}
if sys.argv[1] == "one":
    use_one_arena()
together = threading.Barrier(5)


def allocate():
    libc.malloc(10_000)
    together.wait()


for _ in range(4):
    threading.Thread(target=allocate).start()
together.wait()
libc.malloc_stats()
"""

HOLES = f"""{LIBC}
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() >> 20


pieces = [libc.malloc(64 << 10) for _ in range(1024)]
for piece in pieces:
    ctypes.memset(piece, 1, 64 << 10)
for i, piece in enumerate(pieces):
    if i % 8 != 7:  # of the others each holds what is before it
        libc.free(piece)
if sys.argv[1] == "given back":
    give_back_free_memory()
print(resident())
"""

PAIRS = f"""{LIBC}
import gc, weakref

class Ring:
    def __init__(self):
        self.ring = self

gc.collect()
gc.disable()
before = sys.getallocatedblocks()
pairs = [(i, i) for i in range(1000)]
del pairs
ring = weakref.ref(Ring())
if sys.argv[1] == "given back":
    give_back_free_memory()
print(sys.getallocatedblocks() - before)
gc.collect()
assert ring() is None and gc.get_freeze_count() == 0
"""


def run(program: str, argument: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program, argument], capture_output=True, text=True, check=True)


@pytest.mark.parametrize(("asked", "arenas"), [("one", 1), ("nothing", 5)])
def test_threads_have_one_arena_where_that_is_asked_for(asked: str, arenas: int) -> None:
    assert run(THREADS, asked).stderr.count("Arena ") == arenas


def test_free_memory_between_what_is_in_use_is_given_back() -> None:
    kept, given_back = (int(run(HOLES, what).stdout) for what in ("kept", "given back"))
    assert kept - given_back > 50  # MiB, of 56 that are free


def test_free_objects_that_the_interpreter_keeps_are_given_back_and_garbage_is_found_later() -> None:
    kept, given_back = (int(run(PAIRS, what).stdout) for what in ("kept", "given back"))
    assert kept - given_back > 900
