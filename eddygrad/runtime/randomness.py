"""Random numbers from (seed, purpose, index), never from a rank, a clock or the global generator."""

from __future__ import annotations

import hashlib

import torch


def generator(seed: int, purpose: str, index: int = 0, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a fresh generator; equal arguments give equal streams, different ones unrelated streams.

        state = first 63 bits of SHA-256("seed/purpose/index")
    Args:
        seed:    seed of the run.
        purpose: what the numbers are for, e.g. "batch".
        index:   epoch, step or sample.
        device:  device of the generator.
    Raises: ValueError if seed or index is not an integer.
    """
    for name, value in (("seed", seed), ("index", index)):
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"generator: {name} must be an integer, got {value!r}; convert it with int()")
    digest = hashlib.sha256(f"{seed}/{purpose}/{index}".encode()).digest()
    return torch.Generator(device=device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)
