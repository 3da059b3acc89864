"""What an aggregator remembers from update to update, kept with a checkpoint though it has no state of its own to give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

_PLAIN = (bool, int, float, str, torch.dtype, torch.device, type(None))
Memory = dict[str, Any]


def remembered(aggregator: Any, fresh: Any) -> Memory | None:
    """In what an aggregator differs from a fresh one, by the path of its attribute; None where that cannot be kept on disk.

    A module is looked at through and through; another object is asked for its `state_dict`, and a function remembers nothing.
    """
    if not isinstance(aggregator, nn.Module):
        return {"state": aggregator.state_dict()} if _stateful(aggregator) else {}
    before = dict(_attributes(fresh))
    changed = {path: value for path, value in _attributes(aggregator) if path not in before or not _same(value, before[path])}
    if not all(_plain(value) for value in changed.values()):
        return None
    return {path: (value, str(value.device)) if isinstance(value, Tensor) else value for path, value in changed.items()}


def recall(aggregator: Any, memory: Mapping[str, Any]) -> None:
    """Let a fresh one remember, every tensor on the device where it was."""
    if not isinstance(aggregator, nn.Module):
        if memory:
            aggregator.load_state_dict(memory["state"])
        return
    for path, value in memory.items():
        place, _, name = path.rpartition(".")
        tensor = isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], Tensor)
        setattr(aggregator.get_submodule(place), name, value[0].to(value[1]) if tensor else value)


def _stateful(aggregator: Any) -> bool:
    return hasattr(aggregator, "state_dict") and hasattr(aggregator, "load_state_dict")


def _attributes(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """Of a module and all in it: its own and its buffers, none of torch's."""
    torchs = vars(nn.Module())
    for place, part in module.named_modules():
        for name, value in {**vars(part), **part._buffers}.items():
            if name not in torchs:
                yield f"{place}.{name}".lstrip("."), value


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) or isinstance(other, Tensor):
        return isinstance(one, Tensor) and isinstance(other, Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    return one is other or bool(_plain(one) and one == other)


def _plain(value: Any) -> bool:
    """A tensor, or what holds none."""
    parts = value if isinstance(value, tuple | list) else ()
    return isinstance(value, (Tensor, tuple, list, *_PLAIN)) and all(_plain(part) and not isinstance(part, Tensor) for part in parts)
