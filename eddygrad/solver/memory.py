"""Tensors that outlive the call that makes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def ordinary_tensors() -> Iterator[None]:
    """Make tensors for keeping, without gradients: ordinary ones, even where the caller is in inference mode, whose tensors training must not use."""
    with torch.inference_mode(False), torch.no_grad():
        yield
