"""A short digest of a callable's code: equal in every process, and another one when the callable computes something else."""

from __future__ import annotations

import dis
import functools
import hashlib
import re
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any

import numpy as np
import torch
from torch import Tensor

_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...), np.generic)
_LIBRARIES = sys.stdlib_module_names | {"eddygrad", "numpy", "scipy", "torch"}
_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")


def code_digest(fn: Callable[..., Any]) -> str:
    """Return eight hexadecimal digits of SHA-256 over the code and the data of `fn`.

    Included: bytecode, constants and names of the function and of functions inside it, the names of its arguments, defaults, closure variables, and
    the globals that it reads: numbers, arrays (by their bytes), containers, further functions, objects with their class and attributes. Functions and
    classes of a library (the standard one, installed packages, this one) are included by name, objects of a library by their attributes. Comments,
    docstrings and addresses are left out. The digest holds for one version of Python, because another one compiles to other bytecode.
    """
    inner = fn.func if isinstance(fn, functools.partial) else fn
    return _Digest((getattr(inner, "__module__", None) or "").partition(".")[0]).of(fn)[:8]


class _Digest:
    """A walk over a callable. Args: home: top-level package whose functions are included by their code wherever it is installed."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.seen: dict[int, tuple[int, Any]] = {}  # keeps its objects alive, so that no id is used twice

    def of(self, x: Any) -> str:
        """Return the digest of any value; a value that occurs again, also inside itself, is represented by its position in the walk."""
        if isinstance(x, _PLAIN):
            return _hash(type(x).__name__, repr(x))
        if isinstance(x, tuple):  # compilers may share equal tuples, and a circle always passes through another object
            return _hash(type(x).__name__, *map(self.of, x))
        if id(x) in self.seen:
            return _hash("again", str(self.seen[id(x)][0]))
        self.seen[id(x)] = (len(self.seen), x)
        return _hash(*self._value(x))

    def _value(self, x: Any) -> list[str]:
        if isinstance(x, np.ndarray) and x.dtype != object:
            return ["array", x.dtype.str, str(x.shape), hashlib.sha256(x.tobytes()).hexdigest()]
        if isinstance(x, Tensor) and x.layout == torch.strided and not x.is_meta:
            numbers = x.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1).view(torch.uint8)
            return ["tensor", str(x.dtype), str(tuple(x.shape)), hashlib.sha256(numbers.numpy().tobytes()).hexdigest()]
        if isinstance(x, Enum):
            return ["enum", _name(type(x)), x.name]
        if isinstance(x, Mapping):
            return ["mapping", *sorted(self._pairs(dict(x)))]
        if isinstance(x, (set, frozenset)):
            return ["set", *sorted(self.of(v) for v in x)]
        if isinstance(x, list):
            return ["list", *map(self.of, x)]
        if isinstance(x, types.ModuleType):
            return ["module", f"eddygrad.{x.__name__.rpartition('.')[2]}" if _root(x.__name__) == "eddygrad" else x.__name__]
        if isinstance(x, type):
            return self._class(x)
        return self._callable(x) or self._object(x)

    def _pairs(self, items: Mapping[Any, Any]) -> Iterable[str]:
        return [self.of(key) + self.of(items[key]) for key in sorted(items, key=repr)]

    def _callable(self, x: Any) -> list[str]:
        """Return the parts of a callable that consists of code or of other callables, else an empty list."""
        if isinstance(x, types.MethodType):
            return ["method", self.of(x.__func__), self.of(x.__self__)]
        if isinstance(x, functools.partial):
            return ["partial", self.of(x.func), self.of(x.args), self.of(x.keywords)]
        if isinstance(x, (staticmethod, classmethod)):
            return [type(x).__name__, self.of(x.__func__)]
        if isinstance(x, property):
            return ["property", self.of(x.fget)]
        if isinstance(x, types.FunctionType):
            by_name = x.__module__ != "builtins" and self._in_library(x.__module__)  # code run by `exec` without a __name__ belongs to builtins
            return ["function", _name(x)] if by_name else self._function(x)
        if isinstance(getattr(x, "__wrapped__", None), types.FunctionType):
            return ["wrapper", _name(type(x)), self.of(x.__wrapped__)]
        if isinstance(x, (types.BuiltinFunctionType, types.MethodWrapperType, np.ufunc)):
            owner = getattr(x, "__self__", None)  # an object for a bound method; for a function its module, a class or None
            bound = owner is not None and not isinstance(owner, (types.ModuleType, type))
            return ["builtin", _name(x), *([self.of(owner)] if bound else [])]
        return []

    def _function(self, fn: types.FunctionType) -> list[str]:
        cells = [cell.cell_contents for cell in fn.__closure__ or () if _is_filled(cell)]
        read = {name: fn.__globals__[name] for name in sorted(_globals(fn.__code__)) if name in fn.__globals__}
        inside = self._code(fn.__code__, fn.__doc__)
        return ["function", inside, *(self.of(v) for v in (fn.__defaults__, fn.__kwdefaults__)), *map(self.of, cells), *self._pairs(read)]

    def _code(self, code: types.CodeType, doc: str | None = None) -> str:
        arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        constants = list(code.co_consts)
        if constants and doc is not None and constants[0] == doc:
            constants[0] = None
        found = [self._code(c) if isinstance(c, types.CodeType) else _constant(c) for c in constants]
        handlers = getattr(code, "co_exceptiontable", b"")
        return _hash(code.co_code.hex(), handlers.hex(), *map(repr, (arguments, code.co_names, code.co_freevars)), *found)

    def _class(self, cls: type) -> list[str]:
        """Return the name of a class and, outside libraries, its functions and plain attributes and those of its bases."""
        if self._in_library(cls.__module__):
            return ["class", _name(cls)]
        kinds = (types.FunctionType, staticmethod, classmethod, property)
        own = {n: v for n, v in vars(cls).items() if isinstance(v, kinds) or not n.startswith("__")}
        return ["class", _name(cls), *self._pairs({n: v for n, v in own.items() if isinstance(v, (*kinds, *_PLAIN))}), *map(self.of, cls.__bases__)]

    def _object(self, x: Any) -> list[str]:
        """Return class and attributes of an object; of the standard library or without attributes, its representation without addresses."""
        held = None if _root(type(x).__module__) in sys.stdlib_module_names else getattr(x, "__dict__", None)
        if held is not None:
            return ["object", self.of(type(x)), *self._pairs(held)]
        text = repr(x)
        return ["value", _name(type(x)), "" if _ADDRESS.search(text) else text]

    def _in_library(self, module: str | None) -> bool:
        root = _root(module)
        if root in _LIBRARIES:
            return True
        file = getattr(sys.modules.get(root), "__file__", None) or ""
        return root not in ("__main__", "__mp_main__", self.home) and ("site-packages" in file or "dist-packages" in file)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _root(module: str | None) -> str:
    return (module or "").partition(".")[0]


def _home(module: str) -> str:
    """Return the module's dotted path; inside this package only the package's name, so that moving a file changes no digest."""
    return "eddygrad" if _root(module) == "eddygrad" else module


def _name(x: Any) -> str:
    module = getattr(x, "__module__", None) or ""
    module = "__main__" if module == "__mp_main__" else _home(module)  # the name of the script in a spawned process
    return f"{module}.{getattr(x, '__qualname__', None) or getattr(x, '__name__', '')}"


def _constant(x: Any) -> str:
    """Return the digest of a constant of compiled code; a frozenset has another order in each process, so its digests are sorted."""
    if isinstance(x, frozenset):
        return _hash("frozenset", *sorted(map(_constant, x)))
    return _hash("tuple", *map(_constant, x)) if isinstance(x, tuple) else _hash(type(x).__name__, repr(x))


def _globals(code: types.CodeType) -> set[str]:
    """Return the names of globals that the code, or code inside it, reads."""
    names = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return names.union(*(_globals(c) for c in code.co_consts if isinstance(c, types.CodeType)))


def _is_filled(cell: types.CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True
