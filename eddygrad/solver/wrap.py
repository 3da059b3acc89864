"""`wrap`: turn any callable into a stepper."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from eddygrad.runtime.code_digest import code_digest
from eddygrad.solver.step import Observer, Params, Step, StepperInfo, repeated_for_seeds


@dataclass(frozen=True)
class Wrapped:
    """A user's own function as a stepper; made by `wrap`."""

    fn: Callable[..., Any]
    dt: float
    differentiable: bool
    array: Literal["torch", "numpy"]
    wants: tuple[str, ...] = ()
    accepts: tuple[str, ...] = ()
    wants_k: bool = False
    code: str = ""

    @property
    def name(self) -> str:
        return getattr(self.fn, "__name__", type(self.fn).__name__)

    def info(self) -> StepperInfo:
        """Return an empty description: nothing is known about the function."""
        return StepperInfo()

    def at(self, params: Params, like: Tensor, observe: Observer | None = None) -> Step:
        """Bind the function to those of its arguments that `params` has, see `Stepper.at`.

        Args:
            params:  physical parameters; further ones are ignored.
            like:    an example state (B, C, *grid).
            observe: not used.
        Raises: ValueError if an argument without a default is missing.
        """
        missing = [name for name in self.wants if name not in params]
        if missing:
            raise ValueError(f"params: {self.name} needs {missing}, got {sorted(params)}; name the function's arguments after the parameters")
        given = [name for name in (*self.wants, *self.accepts) if name in params]

        def step(u: Tensor, k: int = 0) -> Tensor:
            seeds = u.shape[0] if u.ndim == like.ndim + 1 else None
            extra: dict[str, Any] = {name: repeated_for_seeds(params[name], seeds, like.ndim) for name in given}
            if self.wants_k:
                extra["k"] = k
            flat = u if seeds is None else u.flatten(0, 1)
            out = self._call(flat, extra)
            return out if seeds is None else out.unflatten(0, (seeds, -1))

        return step

    def _call(self, u: Tensor, extra: dict[str, Any]) -> Tensor:
        """Call `fn` on copies and copy its result: it may write into its arguments and may return memory that it uses again."""
        with nullcontext() if self.differentiable else torch.no_grad():
            u = u if self.differentiable else u.detach()
            extra = {name: _like_state(v, u) if isinstance(v, Tensor) else v for name, v in extra.items()}
            if self.array == "torch":
                out = self.fn(u.clone(), **extra)
            else:
                arrays = {name: v.detach().cpu().numpy() if isinstance(v, Tensor) else v for name, v in extra.items()}
                out = torch.from_numpy(np.array(self.fn(u.cpu().numpy().copy(), **arrays)))
            out = self._check(out, u).to(u.device, u.dtype, copy=True)
            return out if self.differentiable else out.detach()

    def _check(self, out: Any, u: Tensor) -> Tensor:
        shape = tuple(getattr(out, "shape", ()))
        if shape != tuple(u.shape):
            raise ValueError(f"{self.name}: expected a state of the shape of its input, {tuple(u.shape)}, got {shape}")
        if not isinstance(out, Tensor):
            raise ValueError(f"{self.name}: expected a torch tensor, got {type(out).__name__}; pass array='numpy' to wrap for numpy arrays")
        if out.is_complex() and not u.is_complex():
            raise ValueError(f"{self.name}: expected real numbers for a real state, got {out.dtype}; return the real part")
        return out

    def __repr__(self) -> str:
        return f"wrap({self.name}, dt={self.dt}, differentiable={self.differentiable}, array={self.array!r}, code={self.code})"


def _like_state(value: Tensor, u: Tensor) -> Tensor:
    """Copy a parameter to the state's device, and real numbers to its dtype: the float64 of data sets would promote a float32 state."""
    return value.to(u.device, u.dtype if value.is_floating_point() else value.dtype, copy=True)


def wrap(
    fn: Callable[..., Any],
    dt: float,
    differentiable: bool = False,
    array: Literal["torch", "numpy"] = "torch",
    code: str | None = None,
) -> Wrapped:
    """Turn any callable into a stepper, which can be corrected, trained with, recorded and compared like the solvers of the package.

        u+ = fn(u, **{name: params[name] for each further argument of fn that params has})

    Args:
        fn:             maps a state (B, C, *grid) to the state `dt` later. Its further arguments are filled by name from `params`, or keep their
                        default if `params` lacks the name; an argument called `k` gets the index of the step. Parameters are converted to the
                        state's dtype and device. State and result are copied, so `fn` may write in place and return its own memory.
        dt:             time between returned states [s].
        differentiable: True if autograd may go through `fn`; False runs it without gradients, and training through it (WIG) is an error.
        array:          "numpy" if `fn` takes and returns numpy arrays.
        code:           version of `fn` that is recorded with data and checkpoints; by default a digest of its code and of the objects that it uses
                        (see `code_digest`). Give one if the digest cannot see a change: compiled programs, files, objects that change.
    Raises: ValueError if `fn` is not callable, `dt` is not positive, or numpy is combined with differentiable; at a call, if the result has another
            shape, is no tensor, or is complex for a real state.
    """
    if not callable(fn):
        raise ValueError(f"wrap: expected a callable that maps a state to the next, got {type(fn).__name__}")
    if not dt > 0:
        raise ValueError(f"wrap: dt must be positive, got {dt}")
    if array not in ("torch", "numpy"):
        raise ValueError(f"wrap: array must be 'torch' or 'numpy', got {array!r}")
    if differentiable and array == "numpy":
        raise ValueError(
            "wrap: numpy functions carry no gradient; pass differentiable=False (ONE and NOG train without it) or write the step in torch"
        )
    wants, accepts, wants_k = _further_arguments(fn)
    return Wrapped(
        fn, float(dt), differentiable, array, wants=wants, accepts=accepts, wants_k=wants_k, code=code_digest(fn) if code is None else code
    )


def _further_arguments(fn: Callable[..., Any]) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """Return the names of the arguments after the state: those without a default, those with one, and whether `k` is among them."""
    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError):
        return (), (), False
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    further = [p for p in list(signature.parameters.values())[1:] if p.kind in by_name]
    required, optional = (tuple(p.name for p in further if p.name != "k" and (p.default is p.empty) == bare) for bare in (True, False))
    return required, optional, any(p.name == "k" for p in further)
