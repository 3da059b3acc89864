"""The state of an aggregator for a checkpoint, found by comparing it with a fresh one: most aggregators have no `state_dict`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from eddygrad.runtime.code_digest import code_digest

_PLAIN = (bool, int, float, str, torch.dtype, torch.device, type(None))  # exact types that a checkpoint may hold
_TORCHS = frozenset(vars(nn.Module()))
Memory = dict[str, Any]


def remembered(aggregator: Any, fresh: Any) -> Memory | None:
    """Return the attributes in which an aggregator differs from a fresh one, by path; None if they cannot be stored.

    For a module these are the attributes, parameters and buffers of all submodules; for another object its attributes, or its `state_dict`.
    """
    if not isinstance(aggregator, nn.Module) and hasattr(aggregator, "state_dict") and hasattr(aggregator, "load_state_dict"):
        state = aggregator.state_dict()
        return {"": _written(state)} if _plain(state) else None
    before, now = dict(_attributes(fresh)), dict(_attributes(aggregator))
    if _parts(aggregator) != _parts(fresh) or {*before} - {*now}:
        return None
    changed = {path: value for path, value in now.items() if path not in before or code_digest(value) != code_digest(before[path])}
    return {path: _written(value) for path, value in changed.items()} if all(map(_plain, changed.values())) else None


def recall(aggregator: Any, memory: Memory, device: torch.device) -> None:
    """Restore a memory in a fresh aggregator.

    Args:
        aggregator: as made by the user.
        memory:     result of `remembered`.
        device:     device of tensors that were not on the CPU.
    """
    for path, value in memory.items():
        found = _read(value, device)
        if not path:
            aggregator.load_state_dict(found)
            continue
        place, _, name = path.rpartition(".")
        part = aggregator.get_submodule(place) if isinstance(aggregator, nn.Module) else aggregator
        known = getattr(part, name, None)
        if isinstance(known, nn.Parameter):
            with torch.no_grad():
                known.copy_(found)
        else:
            setattr(part, name, found)


def _attributes(aggregator: Any) -> Iterator[tuple[str, Any]]:
    """Attributes of the aggregator, for a module also those of its submodules, without attributes of `nn.Module`."""
    if not isinstance(aggregator, nn.Module):
        yield from getattr(aggregator, "__dict__", {}).items()
        return
    for place, part in aggregator.named_modules():
        for name, value in {**vars(part), **part._buffers, **part._parameters}.items():
            if name not in _TORCHS:
                yield f"{place}.{name}".lstrip("."), value


def _parts(aggregator: Any) -> list[str]:
    return [place for place, _ in aggregator.named_modules()] if isinstance(aggregator, nn.Module) else []


def _plain(value: Any) -> bool:
    """Return whether a checkpoint, which is read without running code, can hold the value."""
    if type(value) in (list, tuple):
        return all(map(_plain, value))
    if type(value) is dict:
        return all(map(_plain, value)) and all(map(_plain, value.values()))
    return isinstance(value, Tensor) or type(value) in _PLAIN


def _written(value: Any) -> Any:
    """Return a copy for the checkpoint; tensors are stored with their device."""
    if isinstance(value, Tensor):
        return {"tensor": value.detach().cpu().clone(), "on": value.device}
    if type(value) is dict:
        return {"items": [(key, _written(part)) for key, part in value.items()]}
    return type(value)(map(_written, value)) if type(value) in (list, tuple) else value


def _read(value: Any, device: torch.device) -> Any:
    if isinstance(value, Mapping):
        return value["tensor"].to(_read(value["on"], device)) if "tensor" in value else {key: _read(part, device) for key, part in value["items"]}
    if isinstance(value, torch.device):
        return value if value.type == "cpu" else device
    return type(value)(_read(part, device) for part in value) if type(value) in (list, tuple) else value
