"""One strict way to read options from TOML: unknown keys and wrong types are one-line errors."""

from __future__ import annotations

import difflib
import tomllib
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

_META = ("config", "json")  # not of the thing that is configured


def read(path: Path) -> dict[str, Any]:
    """The table in a TOML file. Raises ValueError if there is none, or it is not TOML."""
    if not path.is_file():
        raise ValueError(f"config: expected a TOML file, got {path}, which does not exist")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"config: {path} is not TOML: {error}") from None


def checked(kind: type[Any], values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The options in `values` with the types of the fields of `kind`.

    Args:   source: file or preset, named in errors.
    Raises: ValueError, one line, for a key that no field has or a value of another type.
    """
    known = options(kind)
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(f"{source}: unknown key {key!r}; {hint}known keys: {', '.join(sorted(known))}")
    return {key: convert(known[key], value, f"{source}: {key}") for key, value in values.items()}


def options(kind: type[Any]) -> dict[str, Any]:
    """Name -> type of everything that a file may set."""
    found: dict[str, Any] = {}
    hints = get_type_hints(kind)
    for field in fields(kind):
        if is_dataclass(hints[field.name]):
            found |= options(hints[field.name])
        elif field.name not in _META:
            found[field.name] = hints[field.name]
    return found


def arguments(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of the dataclass `kind`; fields of a dataclass inside it stand beside the others in `values`."""
    hints, found = get_type_hints(kind), {}
    for field in fields(kind):
        hint: Any = hints[field.name]
        if is_dataclass(hint):
            found[field.name] = hint(**arguments(hint, values))  # type: ignore[operator, arg-type]
        elif field.name in values:
            found[field.name] = values[field.name]
    return found


def required(kind: type[Any]) -> list[str]:
    """Fields without a default."""
    return [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]


def convert(hint: Any, value: Any, where: str) -> Any:
    """A TOML value as a field's type. Raises ValueError, one line."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return convert(inner[0], value, where)
    if origin is Literal:
        if value in inner:
            return value
        raise ValueError(f"{where}: expected one of {', '.join(map(str, inner))}, got {value!r}")
    if origin in (Union, types.UnionType):
        return convert(next(t for t in inner if t is not type(None)), value, where)
    if origin is tuple:
        listed = value if isinstance(value, list | tuple) else [value]
        return tuple(convert(inner[0], v, where) for v in listed)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise ValueError(f"{where}: expected {hint.__name__}, got {type(value).__name__} {value!r}")
