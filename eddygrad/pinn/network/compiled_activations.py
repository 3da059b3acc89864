"""Activations compiled by torch's Inductor: one pass over memory for all coefficients."""

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

_PROGRAMS = 256  # number of compiled programs kept in memory: one per activation, truncation and shape
_COMPILING = threading.RLock()  # the compiler's settings are global in a process: one program at a time
_Like = tuple[torch.Size, tuple[int, ...], torch.dtype, torch.device]
_Program = Callable[..., Any]


@dataclass(frozen=True)
class Fused(Activation):
    """An activation compiled by torch's Inductor for each truncation and shape; equal to the plain one up to round-off.

    The first call with a new truncation or shape takes up to a minute and needs a C++ compiler. Torch keeps the program on disk for later processes.

    Args:
        activation: the plain activation.
    """

    activation: Activation

    def propagate(self, z: Parts, y: Parts, saved: Parts, kept: Truncation) -> None:
        self.activation.propagate(z, y, saved, kept)

    def forward(self, z: Tensor, kept: Truncation, bias: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        arguments = [part for part in (z, bias) if part is not None]
        y, *saved = _forward(self.activation, kept, torch.get_num_threads(), *map(_like, arguments))(*arguments)
        return y, saved[0] if saved else None

    def backward(self, grad: Tensor, y: Tensor, saved: Tensor | None, kept: Truncation) -> tuple[Tensor, Tensor]:
        arguments = [part for part in (grad, y, saved) if part is not None]
        by_z, by_bias = _backward(self.activation, kept, torch.get_num_threads(), *map(_like, arguments))(*arguments)
        return by_z, by_bias


def _like(x: Tensor) -> _Like:
    return x.shape, x.stride(), x.dtype, x.device


@lru_cache(maxsize=_PROGRAMS)
def _forward(activation: Activation, kept: Truncation, threads: int, *like: _Like) -> _Program:
    """Return the compiled forward pass; the number of threads is part of the key, because the compiler writes it into the program."""

    def propagated(z: Tensor, *bias: Tensor) -> tuple[Tensor, ...]:
        constant, *others = z.unbind(2)
        parts = [*(constant + b.mT for b in bias), *([] if bias else [constant]), *others]
        y, saved = ([torch.empty_like(constant) for _ in range(n)] for n in (len(kept.indices), activation.saved_count(kept)))
        activation.propagate(parts, y, saved, kept)
        return tuple(torch.stack(group, 2) for group in (y, saved) if group)

    return _compiled(propagated, threads, *like)


@lru_cache(maxsize=_PROGRAMS)
def _backward(activation: Activation, kept: Truncation, threads: int, *like: _Like) -> _Program:
    """Return the compiled backward pass, see `_forward`."""

    def pulled(*stacked: Tensor) -> tuple[Tensor, Tensor]:
        grad, y, *saved = (part.unbind(2) for part in stacked)
        g = [part.clone() for part in grad]
        activation.pull_back(g, y, saved[0] if saved else (), kept)
        return torch.stack(g, 2), g[0].sum(2).unsqueeze(1)

    return _compiled(pulled, threads, *like)


def _compiled(function: Callable[..., Any], threads: int, *like: _Like) -> _Program:
    """Trace a function to plain operations and compile it by Inductor directly; the checks of `torch.compile` take longer than a small program.

    The tracing context lets the compiler find programs on disk; the options are part of the key.

    Args:
        function: function of tensors.
        threads:  number of threads of the program.
        like:     shape, strides, dtype and device of each tensor.
    Raises: ValueError if the tensors are on the CPU and no C++ compiler is found.
    """
    if like[0][-1].type == "cpu" and not any(map(which, filter(None, (os.environ.get("CXX"), "g++", "clang++", "cl")))):
        raise ValueError("compiled: expected a C++ compiler on the PATH, found none; install g++, or leave out `compiled`")
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
