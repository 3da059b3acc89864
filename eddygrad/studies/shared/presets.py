"""Settings that come with the package: a folder of TOML files."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Mapping
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


def repeated(verb: str, config: Mapping[str, Any], default: Mapping[str, Any], folder: Path, given: bool) -> str:
    """The `eddygrad VERB ...` that makes the study of this `study.json` again: a preset, where one of its name is given, and what differs from it.

    Args: default: of every field that the command takes, the preset's where there is one.
    """
    words = ["eddygrad", verb, *(["--preset", str(config["name"])] if given else [])]
    for field, usual in default.items():
        value = config.get(field, usual)
        if value != usual:
            flag = isinstance(value, bool)  # no preset has one that is on
            words += [f"--{field.replace('_', '-')}", *map(str, [] if flag else value if isinstance(value, list) else [value])]
    return shlex.join(words if folder == Path("runs") / str(config["name"]) else [*words, "--folder", str(folder)])
