"""Where torch can compute on this machine."""

from __future__ import annotations

import torch


def devices() -> list[str]:
    """Devices of this machine on which torch can compute."""
    kind = torch.accelerator.current_accelerator(check_available=True)
    return ["cpu", *(f"{kind.type}:{i}" for i in range(torch.accelerator.device_count()) if kind is not None)]


def check_device(name: str) -> None:
    """Raise ValueError, one line, for a device that is not here; cuda is the first one."""
    here = devices()
    if name not in {"cpu:0", *here, *(device.partition(":")[0] for device in here)}:
        raise ValueError(f"device: expected one of {', '.join(here)}, got {name!r}; torch sees no other on this machine")
