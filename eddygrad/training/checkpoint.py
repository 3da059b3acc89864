"""Files that are whole or absent: a kill at any moment loses at most what came after the last checkpoint."""

from __future__ import annotations

import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as safetensors_bytes
from torch import Tensor

from eddygrad.runtime.files import write_atomically

_SEAL = b"eddygrad sha256 "


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers, strings and containers of them, with a checksum at the end."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    write_atomically(path, content + _SEAL + hashlib.sha256(content).digest())


def load_state(path: Path) -> dict[str, Any]:
    """Read what `save_state` wrote, or an unsealed file of torch.save; no code runs on load. Raises ValueError for a damaged file."""
    content = path.read_bytes()
    end = len(content) - len(_SEAL) - hashlib.sha256().digest_size
    if end > 0 and content[end:].startswith(_SEAL):
        content, digest = content[:end], content[end + len(_SEAL) :]
        if hashlib.sha256(content).digest() != digest:
            raise ValueError(f"checkpoint: {path} is damaged (its checksum differs); delete it to start this run anew")
    try:
        return torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except Exception as error:
        raise ValueError(f"checkpoint: {path} cannot be read ({type(error).__name__}); delete it to start this run anew") from error


def save_weights(path: Path, state: dict[str, Tensor], description: dict[str, Any]) -> None:
    """Write weights as safetensors and their description as JSON next to them.

    Args:
        path:        file of the weights.
        state:       state_dict of the module.
        description: content of the JSON file.
    """
    write_atomically(path, safetensors_bytes({name: t.detach().cpu().contiguous() for name, t in state.items()}))
    write_atomically(path.with_suffix(".json"), (json.dumps(description, indent=1) + "\n").encode())


def digest(t: Tensor) -> str:
    """Return a digest of the numbers of a tensor, independent of its device."""
    return hashlib.sha256(t.detach().cpu().clone(memory_format=torch.contiguous_format).view(torch.uint8).numpy().tobytes()).hexdigest()[:16]


def difference(known: dict[str, Any], given: dict[str, Any]) -> tuple[str, str]:
    """Return the first entry in which two descriptions differ, as two texts; for two similar reprs, the first field that differs."""
    name = next(key for key in {**given, **known} if known.get(key) != given.get(key))
    pair = [str(description.get(name, "none")) for description in (known, given)]
    fields = [_fields(text) for text in pair]
    if len(fields[0]) == len(fields[1]) > 1:
        pair = next(([a, b] for a, b in zip(*fields) if a != b), pair)
    return f"{name} {pair[0]}", pair[1]


def _fields(text: str) -> list[str]:
    """`Name(a=1, b=Other(c=2))` -> Name, a=1, b=Other, c=2."""
    pieces = re.split(r"(?:\(|, )(?=\w+=)", text)
    return [piece[: len(piece) - max(0, piece.count(")") - piece.count("("))] for piece in pieces]
