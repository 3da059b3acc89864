"""Which code a callable is: a short digest that every process finds alike and that changes with what the callable computes."""

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
    """Eight hexadecimal digits of SHA-256 over what `fn` is made of.

    Counted: bytecode, constants and names of the function and of functions inside it, the names of its arguments, defaults, what it closes over, and
    the globals it reads: numbers, arrays (by their bytes), containers, further functions, objects with their class and attributes. What a library
    brings (the standard one, installed packages, this one) counts by name, its objects by what they hold. Comments, docstrings and addresses do not
    count. The same for one version of Python; another one compiles otherwise.
    """
    inner = fn.func if isinstance(fn, functools.partial) else fn
    return _Digest((getattr(inner, "__module__", None) or "").partition(".")[0]).of(fn)[:8]


class _Digest:
    """One walk over a callable; `home` is the top-level package that is followed wherever it is installed."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.seen: dict[int, tuple[int, Any]] = {}  # keeps what it saw alive, so that no id comes twice

    def of(self, x: Any) -> str:
        """Digest of any value; one that is met again, also inside itself, counts by its position in the walk."""
        if isinstance(x, _PLAIN):
            return _hash(type(x).__name__, repr(x))
        if isinstance(x, tuple):  # compilers share equal ones or not, and a circle always passes through something else
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
        """Parts of a callable that is made of others or of code, else nothing."""
        if isinstance(x, types.MethodType):
            return ["method", self.of(x.__func__), self.of(x.__self__)]
        if isinstance(x, functools.partial):
            return ["partial", self.of(x.func), self.of(x.args), self.of(x.keywords)]
        if isinstance(x, (staticmethod, classmethod)):
            return [type(x).__name__, self.of(x.__func__)]
        if isinstance(x, property):
            return ["property", self.of(x.fget)]
        if isinstance(x, types.FunctionType):
            by_name = x.__module__ != "builtins" and self._in_library(x.__module__)  # `exec` without a __name__ says builtins
            return ["function", _name(x)] if by_name else self._function(x)
        if isinstance(getattr(x, "__wrapped__", None), types.FunctionType):
            return ["wrapper", _name(type(x)), self.of(x.__wrapped__)]
        if isinstance(x, (types.BuiltinFunctionType, types.MethodWrapperType, np.ufunc)):
            owner = getattr(x, "__self__", None)  # of a bound method an object, of a function its module, a class or nothing
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
        """A class by its name and, outside libraries, by its functions and plain attributes and those of its bases."""
        if self._in_library(cls.__module__):
            return ["class", _name(cls)]
        kinds = (types.FunctionType, staticmethod, classmethod, property)
        own = {n: v for n, v in vars(cls).items() if isinstance(v, kinds) or not n.startswith("__")}
        return ["class", _name(cls), *self._pairs({n: v for n, v in own.items() if isinstance(v, (*kinds, *_PLAIN))}), *map(self.of, cls.__bases__)]

    def _object(self, x: Any) -> list[str]:
        """An object by its class and attributes; one of the standard library, or without attributes, by a representation that holds no address."""
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
    """The module's dotted path; inside this package only the package's name, so that a file may move without changing a digest."""
    return "eddygrad" if _root(module) == "eddygrad" else module


def _name(x: Any) -> str:
    module = getattr(x, "__module__", None) or ""
    module = "__main__" if module == "__mp_main__" else _home(module)  # as a process that was spawned calls the script
    return f"{module}.{getattr(x, '__qualname__', None) or getattr(x, '__name__', '')}"


def _constant(x: Any) -> str:
    """A constant of compiled code; the order of a frozenset is its process's own."""
    if isinstance(x, frozenset):
        return _hash("frozenset", *sorted(map(_constant, x)))
    return _hash("tuple", *map(_constant, x)) if isinstance(x, tuple) else _hash(type(x).__name__, repr(x))


def _globals(code: types.CodeType) -> set[str]:
    """Names of globals that the code, or code inside it, reads."""
    names = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return names.union(*(_globals(c) for c in code.co_consts if isinstance(c, types.CodeType)))


def _is_filled(cell: types.CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True
