"""The unrolled objective: ONE, NOG, WIG, truncation and push-forward are settings of one mechanism."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from eddygrad.solver.step import Stepper, free_values, info_of
from eddygrad.solver.unroll import Cut, Window, always, every, first, never, unroll

LossTerm = Callable[[Tensor, Tensor], Tensor]  # (predicted, reference frames) -> values whose mean is the loss, separately for every seed

_FORMS = "'one', 'nog:M', 'wig:M', 'wig:M/J' (cut every J < M steps) or 'push:M/W' (W < M warmup steps without loss)"


@dataclass(frozen=True)
class Unrolling:
    """The number of steps unrolled in training, and where the gradient is cut.

    one     m = 1
    nog:m   every output is detached before it re-enters: the gradient is the mean of one-step gradients at the visited states
    wig:m   back-propagation through solver and network, through all m steps
    wig:m/j truncated: cut at k = j, 2j, ...
    push:m/w push-forward: cut at k = 1 .. w, the first w frames carry no loss          List et al. 2024, sec. 3; Brandstetter et al. 2022
    """

    horizon: int
    policy: Literal["never", "always", "every", "first"] = "never"
    argument: int = 0

    def __post_init__(self) -> None:
        if self.horizon < 1 or (self.policy == "first" and not 0 <= self.argument < self.horizon) or (self.policy == "every" and self.argument < 1):
            raise ValueError(f"unroll: expected a horizon >= 1, cuts >= 1 apart and a warmup shorter than the horizon, got {self.name!r}")

    @staticmethod
    def parse(text: str | Unrolling) -> Unrolling:
        """Return the Unrolling of `one`, `nog:4`, `wig:4`, `wig:8/2` or `push:4/2`. Raises ValueError for another form or a late cut."""
        if isinstance(text, Unrolling):
            return text
        match = re.fullmatch(r"(one|nog|wig|push)(?::(\d+))?(?:/(\d+))?", text.strip().lower())
        if match:
            kind, horizon, argument = match[1], *(None if part is None else int(part) for part in match.groups()[1:])
            if kind == "one" and horizon in (None, 1) and argument is None:
                return Unrolling(1)
            if kind == "nog" and horizon and argument is None:
                return Unrolling(horizon, "always")
            if kind == "wig" and horizon and argument is not None and argument >= horizon:
                raise ValueError(
                    f"unroll: {text!r} unrolls {horizon} steps, so a cut after {argument} never happens; "
                    f"expected 'wig:{horizon}/J' with J < {horizon}, or 'wig:{horizon}' without a cut"
                )
            if kind == "wig" and horizon:
                return Unrolling(horizon) if argument is None else Unrolling(horizon, "every", argument)
            if kind == "push" and horizon and argument is not None:
                return Unrolling(horizon, "first", argument)
        raise ValueError(f"unroll: expected one of {_FORMS}, got {text!r}")

    @property
    def name(self) -> str:
        """Text that `parse` reads."""
        if self.policy == "always":
            return f"nog:{self.horizon}"
        if self.policy == "first":
            return f"push:{self.horizon}/{self.argument}"
        if self.policy == "every":
            return f"wig:{self.horizon}/{self.argument}"
        return "one" if self.horizon == 1 else f"wig:{self.horizon}"

    @property
    def cut(self) -> Cut:
        """Function of the step: is the gradient cut before it?"""
        return {"never": lambda: never, "always": lambda: always, "every": lambda: every(self.argument), "first": lambda: first(self.argument)}[
            self.policy
        ]()

    @property
    def warmup(self) -> int:
        """Frames at the start that carry no loss."""
        return self.argument if self.policy == "first" else 0

    def shortened(self, horizon: int) -> Unrolling:
        """Return the same policy over fewer steps; a cut after the end is left out."""
        return Unrolling(horizon) if self.policy == "every" and self.argument >= horizon else replace(self, horizon=horizon)

    def needs_solver_gradient(self, horizon: int | None = None) -> bool:
        """Return whether the gradient passes through the solver, i.e. whether any later step starts from a state with a gradient."""
        return any(not self.cut(k) for k in range(1, horizon or self.horizon))


@runtime_checkable
class _Composed(Protocol):
    """A composed stepper, whose network receives the "state" or the result of the "solver"."""

    sees: str


class Unrolled(nn.Module):
    """Mean squared error over the frames of an unrolled trajectory, with equal weights.

        loss = 1/(m - w) sum_{k = w+1}^{m} mean |u_k - u_k^ref|^2,   u_{k+1} = step(u_k), cut by the policy
        List et al. 2024, eq. (3)
    If sides or bodies fix values of the state (`FreeMask`), the mean is over the free values, sum m |u_k - u_k^ref|^2 / sum m.
    Further losses of the same frames k = w + 1 .. m have names of their own (`physics`), and a weighting balances them:

        loss_name = mean term(u, u^ref),   term: ([S,] B, T, C, *grid), (B or S, B, T, C, *grid) -> ([S,] ...), such as a value of every frame

    Args:
        stepper:   stepper to train, usually `Corrected`.
        unrolling: policy, or its name.
        terms:     further losses by name.
    Call:   a Window of m + 1 frames -> {"data": loss, name: loss, ..}, each (S,) for a stack, else (). The number of frames sets the horizon, which
            may differ from that of the policy (curriculum).
    Raises: ValueError if the gradient would have to pass a stepper that is not differentiable, or for a term called "data"; at a call, for a term
            that mixes the seeds of a stack.
    """

    def __init__(self, stepper: Stepper, unrolling: str | Unrolling, terms: Mapping[str, LossTerm] | None = None) -> None:
        super().__init__()
        self.stepper = stepper
        self.unrolling = Unrolling.parse(unrolling)
        self.terms = dict(terms or {})
        if "data" in self.terms:
            raise ValueError("Unrolled: 'data' is the squared error to the reference, got a further term of that name; give it another one")
        self._check_gradient(self.unrolling.horizon)
        self.stacked = info_of(stepper).seeds is not None

    def forward(self, window: Window) -> dict[str, Tensor]:
        frames = window.u.unbind(window.time_axis)
        if len(frames) < 2 + self.unrolling.warmup:
            raise ValueError(
                f"Unrolled: {self.unrolling.name} needs {2 + self.unrolling.warmup} frames, got {len(frames)}; call batch_at with a longer horizon"
            )
        like = frames[0][0] if window.time_axis == 2 else frames[0]
        self._check_gradient(len(frames) - 1)
        step = self.stepper.at(window.params, like)
        free = free_values(self.stepper, window.params, like)
        errors, predicted = [], []
        for k, u in enumerate(unroll(step, frames[0], len(frames) - 1, self.unrolling.cut), start=1):
            if k > self.unrolling.warmup:
                errors.append(self._mean(torch.square(u - frames[k]), free))
                predicted += [u] if self.terms else []
        return {"data": torch.stack(errors).mean(0), **(self._further(predicted, window) if self.terms else {})}

    def _further(self, predicted: Sequence[Tensor], window: Window) -> dict[str, Tensor]:
        """Return the losses of the terms."""
        u = torch.stack(list(predicted), 2 if self.stacked else 1)
        reference = window.u.narrow(window.time_axis, 1 + self.unrolling.warmup, len(predicted))
        losses = {}
        for name, term in self.terms.items():
            values = term(u, reference)
            if self.stacked and (values.ndim == 0 or len(values) != len(u)):
                raise ValueError(
                    f"Unrolled: the term {name!r} gives values of shape {tuple(values.shape)}, expected ({len(u)}, ...), separately for every seed; "
                    "let it keep the leading axes of the frames"
                )
            losses[name] = values.reshape(len(u), -1).mean(1) if self.stacked else values.mean()
        return losses

    def _check_gradient(self, horizon: int) -> None:
        if not self.stepper.differentiable and self.unrolling.needs_solver_gradient(horizon):
            # A network that sees the state is a second path between steps; one that sees the solver's result is not.
            parallel = isinstance(self.stepper, _Composed) and self.stepper.sees == "state"
            raise ValueError(
                f"unroll: {self.unrolling.name} over {horizon} steps back-propagates through the solver, but it is declared not differentiable; "
                f"train with 'one' or 'nog:{horizon}'" + ", or cut the path by correct(..., mode='parallel', cut='solver')" * parallel
            )

    def _mean(self, squared: Tensor, free: Tensor | None) -> Tensor:
        if free is not None:
            squared = squared * (free / free.mean())
        return squared.flatten(1).mean(1) if self.stacked else squared.mean()
