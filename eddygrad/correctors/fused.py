"""Activations whose passes over all coefficients are one: every number is read and written once."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from shutil import which
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from eddygrad.correctors.activations import Activation, Parts
from eddygrad.correctors.taylor import Truncation

_PROGRAMS = 256  # that are kept: one belongs to an activation, a truncation and a shape
_Like = tuple[torch.Size, torch.dtype, torch.device]


@dataclass(frozen=True)
class Fused(Activation):
    """The same activation, compiled by `torch.compile` for every truncation and shape that it meets; to round-off.

    The first call of a kind takes up to a minute and needs a C++ compiler; later ones, of other processes too, take what torch keeps of it on
    disk. Polynomials of one coefficient have nothing to fuse.
    """

    activation: Activation

    def propagate(self, z: Parts, y: Parts, beside: Parts, kept: Truncation) -> None:
        self.activation.propagate(z, y, beside, kept)

    def propagated(self, z: Tensor, kept: Truncation) -> tuple[Tensor, Tensor | None]:
        if kept.order == 0:
            return self.activation.propagated(z, kept)
        y, *beside = _forward(self.activation, kept, _like(z))(z)
        return y, beside[0] if beside else None

    def pulled(self, grad: Tensor, y: Tensor, beside: Tensor | None, kept: Truncation) -> Tensor:
        if kept.order == 0:
            return self.activation.pulled(grad, y, beside, kept)
        given = [part for part in (grad, y, beside) if part is not None]
        found: Tensor = _backward(self.activation, kept, *map(_like, given))(*given)
        return found


def _like(x: Tensor) -> _Like:
    return x.shape, x.dtype, x.device


@lru_cache(maxsize=_PROGRAMS)
def _forward(activation: Activation, kept: Truncation, like: _Like) -> Callable[[Tensor], Any]:
    def propagated(z: Tensor) -> tuple[Tensor, ...]:
        parts = z.unbind(2)
        y, beside = ([torch.empty_like(parts[0]) for _ in range(n)] for n in (len(kept.indices), activation.beside(kept)))
        activation.propagate(parts, y, beside, kept)
        return tuple(torch.stack(each, 2) for each in (y, beside) if each)

    return _compiled(propagated, like)


@lru_cache(maxsize=_PROGRAMS)
def _backward(activation: Activation, kept: Truncation, *like: _Like) -> Callable[..., Any]:
    def pulled(*stacked: Tensor) -> Tensor:
        grad, y, *beside = (part.unbind(2) for part in stacked)
        g = [part.clone() for part in grad]
        activation.pull(g, y, beside[0] if beside else (), kept)
        return torch.stack(g, 2)

    return _compiled(pulled, *like)


def _compiled(function: Callable[..., Any], *like: _Like) -> Callable[..., Any]:
    """Traced to plain operations first, so that a call checks no more than the tensors that it is given.

    Raises: ValueError where the processor's programs would need a C++ compiler and there is none.
    """
    if like[0][2].type == "cpu" and not any(map(which, filter(None, (os.environ.get("CXX"), "g++", "clang++", "cl")))):
        raise ValueError("compiled: fused loops need a C++ compiler, found none; install g++, or leave out `compiled`")
    with torch.no_grad():
        traced = make_fx(function)(*(torch.empty(shape, dtype=dtype, device=device) for shape, dtype, device in like))
    return torch.compile(traced, dynamic=False)
