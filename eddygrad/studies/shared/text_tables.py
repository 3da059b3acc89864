"""Numbers as text, aligned tables, CSV and JSON; every file is written whole or not at all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from eddygrad.runtime.files import write_atomically

Ranged = tuple[float, float, float]  # a typical value over seeds, the lowest and the highest


def aligned(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Return a table as text with aligned columns; a column that is empty in every row is left out.

    Args: head: titles of the columns. body: the cells of each row, as many as titles.
    """
    kept = [i for i in range(len(head)) if i == 0 or any(row[i] for row in body)]
    head, body = [head[i] for i in kept], [[row[i] for i in kept] for row in body]
    widths = [max(len(row[i]) for row in [head, *body]) for i in range(len(head))]
    lines = [head, ["-" * w for w in widths], *body]
    return "\n".join(
        "  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))).rstrip() for row in lines
    )


def ranged(values: Sequence[float] | None, digits: int = 3) -> str:
    """Return "0.5 (0.4 .. 0.7)" for a typical, a lowest and a highest number; "" for None."""
    if values is None:
        return ""
    typical, low, high = (f"{value:.{digits}g}" for value in values)
    return f"{typical} ({low} .. {high})"


def interval(low: float | None, high: float | None, missing: str = "") -> str:
    """Return "0.4 .. 0.7", or `missing` if there is no interval.

    Args: low, high: ends of the interval; None or NaN without one. missing: the text without one.
    """
    return missing if low is None or high is None or not isfinite(low) else f"{low:.3g} .. {high:.3g}"


def count(n: int, what: str) -> str:
    """Return "1 seed", "2 seeds"."""
    return f"{n} {what}" + ("" if n == 1 else "s")


def listed(parts: Sequence[str]) -> str:
    """Return "a, b and c"."""
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def finite(value: float) -> float | None:
    """Return the value, or None for NaN and infinity, which JSON cannot express."""
    return value if isfinite(value) else None


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    write_atomically(path, text.encode("utf-8"))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write an object as JSON; a NaN in it is an internal error."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV; a row may lack columns of others."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(k for row in rows for k in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def write_csv_pair(path: Path, runs: Sequence[Mapping[str, Any]], ratios: Sequence[Mapping[str, Any]]) -> tuple[Path, Path]:
    """Write a study's runs to NAME.csv and its ratios to NAME-ratios.csv in the same folder.

    Args:    path: NAME.csv. runs, ratios: flat rows.
    Returns: both paths.
    """
    second = path.with_name(f"{path.stem}-ratios{path.suffix}")
    write_csv(path, runs)
    write_csv(second, ratios)
    return path, second
