"""How numbers are written: in words, as aligned text, CSV, JSON; a file whole or not at all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from eddygrad.runtime.files import write_atomically


def aligned(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Columns under each other; those that are empty in every row are left out."""
    kept = [i for i in range(len(head)) if i == 0 or any(row[i] for row in body)]
    head, body = [head[i] for i in kept], [[row[i] for i in kept] for row in body]
    widths = [max(len(row[i]) for row in [head, *body]) for i in range(len(head))]
    lines = [head, ["-" * w for w in widths], *body]
    return "\n".join(
        "  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))).rstrip() for row in lines
    )


Ranged = tuple[float, float, float]  # what is typical of the seeds, their lowest and their highest


def ranged(values: Sequence[float] | None, digits: int = 3) -> str:
    """ "0.5 (0.4 .. 0.7)" of a typical, a lowest and a highest number; nothing of None."""
    if values is None:
        return ""
    typical, low, high = (f"{value:.{digits}g}" for value in values)
    return f"{typical} ({low} .. {high})"


def count(n: int, what: str) -> str:
    """ "1 seed", "2 seeds"."""
    return f"{n} {what}" + ("" if n == 1 else "s")


def listed(parts: Sequence[str]) -> str:
    """ "a, b and c"."""
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def finite(value: float) -> float | None:
    """None in place of what JSON has no number for."""
    return value if isfinite(value) else None


def page_in(folder: str | Path, path: str | Path | None = None) -> Path:
    """Where a report goes, a relative path in the folder. Raises ValueError for another ending than .html: it might be that of what is reported."""
    if path is not None and Path(path).suffix != ".html":
        raise ValueError(f"report: expected a name that ends in .html, got {path}; nothing was written")
    return Path(folder) / (path or "report.html")


def write_text(path: Path, text: str) -> None:
    """Write whole or not at all."""
    write_atomically(path, text.encode("utf-8"))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write an object; a NaN in it is an error of ours."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows that may lack some of the columns."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(k for row in rows for k in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
