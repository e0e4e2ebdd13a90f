"""How functions are compiled: the only module that imports numba, which is an optional extra. What is compiled with its
help stands in modules of its own, which nobody imports but teagent.adapters.flow.compiled.

All is compiled with checks of every index, which raise IndexError.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np
from numba.core.caching import FunctionCache

Function = TypeVar("Function", bound=Callable[..., Any])

OPTIONS: Final[dict[str, Any]] = {"boundscheck": True, "_nrt": False}
"""Without numba's run-time nothing can be allocated, and no references are counted, which would take most of the time:
seven times as long.
"""


def read_only(kind: Any, *, strided: bool = False) -> Any:
    """The type of an array of one dimension that is looked at; `strided` takes those with gaps, too."""
    return numba.types.Array(numba.from_dtype(np.dtype(kind)), 1, "A" if strided else "C", readonly=True)


def room(kind: Any) -> Any:
    """The type of an array of one dimension that is written."""
    return numba.types.Array(numba.from_dtype(np.dtype(kind)), 1, "C")


NUMBER: Final = numba.int64
WORD: Final = numba.uint64
REAL: Final = numba.float64


def within(function: Function) -> Function:
    """Becomes a part of the compiled function that calls it."""
    return cast(Function, numba.njit(forceinline=True, **OPTIONS)(function))


def kept(function: Function) -> Function:
    """Is compiled once for arguments of one type, when it is called or by `compile_for`; and kept in numba's cache
    until anything that it is made of is another.
    """
    compiled = numba.njit(**OPTIONS)(function)
    cache: Any = _Cache
    compiled._cache = cache(function)  # noqa: SLF001  what cache=True does, with numba's own one
    return cast(Function, compiled)


def compile_for(function: Any, *arguments: Any) -> None:
    """What is `kept`, for arguments of these types, and never again for others: a call with such raises TypeError."""
    if not function.overloads:
        function.compile(arguments)
        function.disable_compile()


class _Cache(FunctionCache):
    """Numba's own looks at the file in which the function stands, and at no other one."""

    def _index_key(self, signature: Any, codegen: Any) -> Any:
        key: Any = super()._index_key(signature, codegen)  # type: ignore[no-untyped-call]
        return (*key, made_of(self._py_func))


def made_of(function: Callable[..., Any]) -> str:
    """A digest of a function's code, of the functions that become parts of it, and of the constants of all of them,
    whatever modules these are of.
    """
    digest = hashlib.sha256(str(OPTIONS).encode())
    for part in _parts(function.__code__, function.__globals__, set()):
        digest.update(part.encode())
    return digest.hexdigest()


def _parts(code: CodeType, its_globals: dict[str, Any], seen: set[CodeType]) -> Iterator[str]:
    if code in seen:
        return
    seen.add(code)
    yield f"{code.co_code.hex()} {code.co_names}"
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _parts(constant, its_globals, seen)
        else:
            yield repr(constant)
    for name in code.co_names:
        value: Any = its_globals.get(name)
        if hasattr(value, "py_func"):
            yield from _parts(value.py_func.__code__, value.py_func.__globals__, seen)
        elif isinstance(value, np.ndarray):
            yield f"{name} {value.dtype.str} {value.tobytes().hex()}"
        elif isinstance(value, (bool, int, float, str, tuple, np.generic)):
            yield f"{name} {value!r}"
