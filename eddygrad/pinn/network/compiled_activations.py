"""Activations whose passes over all coefficients are one: every number is read and written once."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from shutil import which
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from eddygrad.pinn.network.activations import Activation, Parts
from eddygrad.pinn.network.taylor import Truncation
from eddygrad.runtime.compilation import Verified, use_own_cache

_PROGRAMS = 256  # that are kept: one belongs to an activation, a truncation and a shape
_COMPILING = threading.RLock()  # the compiler's settings are the process's: one program at a time
_Like = tuple[torch.Size, tuple[int, ...], torch.dtype, torch.device]
_Program = Callable[..., Any]


@dataclass(frozen=True)
class Fused(Activation):
    """The same activation, compiled by torch's Inductor for every truncation and shape that it meets; to round-off.

    The first call of a kind takes up to a minute and needs a C++ compiler; other processes find on disk what torch keeps of it.
    """

    activation: Activation

    def propagate(self, z: Parts, y: Parts, beside: Parts, kept: Truncation) -> None:
        self.activation.propagate(z, y, beside, kept)

    def propagated(self, z: Tensor, kept: Truncation, bias: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        given = [part for part in (z, bias) if part is not None]
        y, *beside = _forward(self.activation, kept, torch.get_num_threads(), *map(_like, given))(*given)
        return y, beside[0] if beside else None

    def pulled(self, grad: Tensor, y: Tensor, beside: Tensor | None, kept: Truncation) -> tuple[Tensor, Tensor]:
        given = [part for part in (grad, y, beside) if part is not None]
        by_z, by_bias = _backward(self.activation, kept, torch.get_num_threads(), *map(_like, given))(*given)
        return by_z, by_bias


def _like(x: Tensor) -> _Like:
    return x.shape, x.stride(), x.dtype, x.device


@lru_cache(maxsize=_PROGRAMS)
def _forward(activation: Activation, kept: Truncation, threads: int, *given: _Like) -> _Program:
    """A program has the number of threads written into it that torch has when it is compiled."""

    def propagated(z: Tensor, *bias: Tensor) -> tuple[Tensor, ...]:
        constant, *others = z.unbind(2)
        parts = [*(constant + b.mT for b in bias), *([] if bias else [constant]), *others]
        y, beside = ([torch.empty_like(constant) for _ in range(n)] for n in (len(kept.indices), activation.beside(kept)))
        activation.propagate(parts, y, beside, kept)
        return tuple(torch.stack(each, 2) for each in (y, beside) if each)

    return _compiled(propagated, threads, *given)


@lru_cache(maxsize=_PROGRAMS)
def _backward(activation: Activation, kept: Truncation, threads: int, *given: _Like) -> _Program:
    def pulled(*stacked: Tensor) -> tuple[Tensor, Tensor]:
        grad, y, *beside = (part.unbind(2) for part in stacked)
        g = [part.clone() for part in grad]
        activation.pull(g, y, beside[0] if beside else (), kept)
        return torch.stack(g, 2), g[0].sum(2).unsqueeze(1)

    return _compiled(pulled, threads, *given)


def _compiled(function: Callable[..., Any], threads: int, *like: _Like) -> _Program:
    """Traced to plain operations and given to the compiler without `torch.compile` before it, whose checks took longer than a small program.

    The context is what lets the compiler find on disk what it has compiled before; the options are part of what it looks for.
    Raises: ValueError where the processor's programs would need a C++ compiler and there is none.
    """
    if like[0][-1].type == "cpu" and not any(map(which, filter(None, (os.environ.get("CXX"), "g++", "clang++", "cl")))):
        raise ValueError("compiled: fused loops need a C++ compiler, found none; install g++, or leave out `compiled`")
    from torch._guards import TracingContext, tracing  # the compiler takes seconds to import
    from torch._inductor import compile as compiled
    from torch._subclasses import FakeTensorMode
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    use_own_cache()
    examples: list[Any] = [torch.empty_strided(shape, stride, dtype=dtype, device=device) for shape, stride, dtype, device in like]
    with _COMPILING, torch.no_grad():
        traced = make_fx(function)(*examples)
        with tracing(TracingContext(FakeTensorMode(shape_env=ShapeEnv()))):
            program = compiled(traced, examples, options={"cpp.threads": threads})
    return Verified(program, function, "compiled")
