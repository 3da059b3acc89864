"""Strict reading of a JSON file: errors name the file, the entry, the expected and the actual content."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, nan
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eddygrad.evaluation.metrics import CLIPPED_ERROR as CLIP

Array = NDArray[np.float64]


def read_entry(path: Path, schema: str) -> Entry:
    """Return the content of a run's JSON. Raises: ValueError, one line, if it is not JSON or has another schema."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: expected JSON, got {error}; delete the file, and the study redoes this run") from None
    if not isinstance(raw, dict) or raw.get("schema") != schema:
        got = raw.get("schema") if isinstance(raw, dict) else type(raw).__name__
        raise ValueError(f"{path}: expected schema {schema!r}, got {got!r}; was it written by another version?")
    return Entry(path, "", raw)


@dataclass(frozen=True)
class Entry:
    """A JSON object with its place in the file.

    Args: path: of the file. where: keys that lead to the object, "training." say. values: its content.
    """

    path: Path
    where: str
    values: Mapping[str, Any]

    def fail(self, key: str, expected: str, got: object) -> ValueError:
        """Return the error for an entry. Args: key: of the entry. expected, got: its content."""
        return ValueError(f"{self.path}: {self.where}{key}: expected {expected}, got {got}")

    def get(self, key: str) -> Any:
        """Return an entry. Raises: ValueError if it is missing, as all methods below."""
        if key not in self.values:
            raise self.fail(key, "an entry of that name", f"only {sorted(self.values)}")
        return self.values[key]

    def child(self, key: str) -> Entry:
        """Return an entry that is an object."""
        if not isinstance(self.get(key), dict):
            raise self.fail(key, "an object", type(self.get(key)).__name__)
        return Entry(self.path, f"{self.where}{key}.", self.get(key))

    def text(self, key: str) -> str:
        """Return an entry that is a string."""
        if not isinstance(self.get(key), str):
            raise self.fail(key, "a string", repr(self.get(key)))
        return str(self.get(key))

    def sequence(self, key: str) -> list[Any]:
        """Return an entry that is a list."""
        if not isinstance(self.get(key), list):
            raise self.fail(key, "a list", type(self.get(key)).__name__)
        return list(self.get(key))

    def number(self, key: str, least: float = 0.0) -> float:
        """Return an entry that is a finite number of at least `least`."""
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < least:
            raise self.fail(key, f"a finite number of at least {least:g}", repr(value))
        return float(value)

    def optional(self, *keys: str) -> float:
        """Return the number of the first of these keys that has one, else NaN."""
        return next((self.number(key) for key in keys if self.values.get(key) is not None), nan)

    def array(self, key: str, shape: tuple[int | None, ...], finite: bool = False) -> Array:
        """Return an entry that is an array; null is NaN.

        Args: key: of the entry. shape: of the array, None for any length. finite: whether NaN and infinity are errors.
        """
        try:
            value = np.array(self.get(key), dtype=np.float64)
        except (TypeError, ValueError):
            raise self.fail(key, f"numbers of shape {_shape(shape)}", "ragged or other entries") from None
        if value.ndim != len(shape) or any(n is not None and n != m for n, m in zip(shape, value.shape, strict=True)):
            raise self.fail(key, f"numbers of shape {_shape(shape)}", f"shape {value.shape}")
        if finite and not np.isfinite(value).all():
            raise self.fail(key, f"finite numbers (a diverged run counts as {CLIP:g})", f"{int((~np.isfinite(value)).sum())} that are not")
        return value


def _shape(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
