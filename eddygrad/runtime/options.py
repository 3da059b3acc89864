"""Options by name, checked against the types that a function or class takes."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


def checked(who: str, options: Mapping[str, Any], takes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options if all are known and have the right type.

    Args:
        who:     begins the error message, e.g. "weighting: mgda".
        options: name -> value.
        takes:   name -> type.
    Raises: ValueError, one line, for an unknown option or a value of another type.
    """
    unknown = sorted(set(options) - set(takes))
    if unknown:
        raise ValueError(f"{who} has no option {unknown[0]!r}; expected some of {', '.join(sorted(takes)) or 'none'}")
    for name, value in options.items():
        if not _fits(takes[name], value):
            raise ValueError(f"{who}: {name} is {_said(takes[name])}, got {value!r}")
    return dict(options)


def parameters(maker: Callable[..., Any], but: Collection[str] = ()) -> dict[str, Any]:
    """Return name -> type of the arguments of a function, or of a class and its bases; `but` names are left out."""
    makers = [vars(base)["__init__"] for base in reversed(maker.__mro__) if "__init__" in vars(base)] if isinstance(maker, type) else [maker]
    found: dict[str, Any] = {}
    for make in makers:
        if inspect.isfunction(make):
            hints = get_type_hints(make)
            named = [p for p in inspect.signature(make).parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
            found |= {p.name: hints.get(p.name, Any) for p in named}
    return {name: hint for name, hint in found.items() if name not in {"self", *but}}


def _fits(hint: Any, value: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(part, value) for part in inner)
    if origin is Literal:
        return value in inner
    if hint in (int, float):
        return isinstance(value, int if hint is int else int | float) and not isinstance(value, bool)
    if origin is not None:
        return isinstance(value, origin) and not (isinstance(value, str) and issubclass(origin, Sequence))
    return hint is Any or (value is None if hint is type(None) else isinstance(value, hint))


def _said(hint: Any) -> str:
    """Return a type in words."""
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(map(_said, get_args(hint)))
    if get_origin(hint) is Literal:
        return " or ".join(map(repr, get_args(hint)))
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", type(None): "none"}
    return words.get(hint, getattr(hint, "__name__", str(hint)))
