"""Devices of this machine on which torch can compute."""

from __future__ import annotations

import torch


def devices() -> list[str]:
    """Return the names of the devices: "cpu", then "cuda:0" and so on."""
    kind = torch.accelerator.current_accelerator(check_available=True)
    return ["cpu", *(f"{kind.type}:{i}" for i in range(torch.accelerator.device_count()) if kind is not None)]


def check_device(name: str) -> None:
    """Check that a device exists on this machine; "cuda" is the first of its kind. Raises: ValueError, one line, if it does not."""
    known = devices()
    if name not in {"cpu:0", *known, *(device.partition(":")[0] for device in known)}:
        raise ValueError(f"device: expected one of {', '.join(known)}, got {name!r}; torch sees no other on this machine")
