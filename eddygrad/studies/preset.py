"""Settings that come with the package: a folder of TOML files."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any


def names(folder: Path) -> list[str]:
    """What is there."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def read(folder: Path, name: str) -> dict[str, Any]:
    """The fields of one of them. Raises ValueError for another name."""
    if name not in names(folder):
        raise ValueError(f"preset: expected one of {names(folder)}, got {name!r}; or write your own file and pass it as --config")
    return tomllib.loads((folder / f"{name}.toml").read_text(encoding="utf-8"))
