"""Options from a TOML file: unknown keys and wrong types are one-line errors."""

from __future__ import annotations

import difflib
import tomllib
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

_META = ("config", "json")  # options of the command line itself, which a file cannot set


def read(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file. Raises: ValueError if the file is missing or not TOML."""
    if not path.is_file():
        raise ValueError(f"config: expected a TOML file, got {path}, which does not exist")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"config: {path} is not TOML: {error}") from None


def checked(kind: type[Any], values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return options converted to the types of a dataclass's fields.

    Args:
        kind:   the dataclass.
        values: key -> value as TOML has it.
        source: name of the file or preset, for errors.
    Raises: ValueError, one line, for a key that is no field or a value of another type.
    """
    known = options(kind)
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(f"{source}: unknown key {key!r}; {hint}known keys: {', '.join(sorted(known))}")
    return {key: convert(known[key], value, f"{source}: {key}") for key, value in values.items()}


def options(kind: type[Any]) -> dict[str, Any]:
    """Return name -> type of every option that a file may set."""
    found: dict[str, Any] = {}
    hints = get_type_hints(kind)
    for field in fields(kind):
        if is_dataclass(hints[field.name]):
            found |= options(hints[field.name])
        elif field.name not in _META:
            found[field.name] = hints[field.name]
    return found


def arguments(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the dataclass `kind`; `values` is flat: fields of a nested dataclass are keys like all others."""
    hints, found = get_type_hints(kind), {}
    for field in fields(kind):
        hint: Any = hints[field.name]
        if is_dataclass(hint):
            found[field.name] = hint(**arguments(hint, values))  # type: ignore[operator, arg-type]
        elif field.name in values:
            found[field.name] = values[field.name]
    return found


def required(kind: type[Any]) -> list[str]:
    """Return the names of fields without a default."""
    return [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]


def convert(hint: Any, value: Any, where: str) -> Any:
    """Return a TOML value converted to a field's type.

    Args:
        hint:  type of the field.
        value: value as TOML has it.
        where: file and key, for errors.
    Raises: ValueError, one line, for a value of another type.
    """
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
