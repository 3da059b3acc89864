"""Presets: configurations that come with the package, as TOML files in a folder."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def names(folder: Path) -> list[str]:
    """Return the names of the presets in a folder."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def read(folder: Path, name: str) -> dict[str, Any]:
    """Return the fields of a preset. Raises: ValueError for an unknown name."""
    if name not in names(folder):
        raise ValueError(f"preset: expected one of {names(folder)}, got {name!r}; or write your own file and pass it as --config")
    return tomllib.loads((folder / f"{name}.toml").read_text(encoding="utf-8"))


def repeated(verb: str, config: Mapping[str, Any], default: Mapping[str, Any], folder: Path, given: bool) -> str:
    """Return the `eddygrad VERB ...` that makes a study again: its preset, and the options that differ from it.

    Args:
        verb:    of the command. config: content of `study.json`.
        default: value of every option of the command, or of the preset if there is one.
        folder:  of the study. given: whether there is a preset of the study's name.
    """
    words = ["eddygrad", verb, *(["--preset", str(config["name"])] if given else [])]
    for field, usual in default.items():
        value = config.get(field, usual)
        if value != usual:
            flag = isinstance(value, bool)  # no preset switches one on
            words += [f"--{field.replace('_', '-')}", *map(str, [] if flag else value if isinstance(value, list) else [value])]
    return shlex.join(words if folder == Path("runs") / str(config["name"]) else [*words, "--folder", str(folder)])
