"""Frozen state while a loss is evaluated again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from eddygrad.training.protocols import Stateful


@contextmanager
def frozen(*parts: Stateful) -> Iterator[None]:
    """Freeze per-update state (point weights, resampled points) while a loss is re-evaluated; parts that were frozen before stay frozen."""
    moving = [part for part in parts if not part.frozen]
    for part in moving:
        part.freeze(True)
    try:
        yield
    finally:
        for part in moving:
            part.freeze(False)
