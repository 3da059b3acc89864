"""Named losses -> named weights: what all weightings share."""

from __future__ import annotations

import abc
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

Grads = Mapping[str, Sequence[Tensor | None]]
Mean = Literal["arithmetic", "geometric"]


@dataclass(frozen=True)
class Terms:
    """What a weighting looks at: losses, weights so far and gradients of every named term, a row per seed.

    Args: losses, weights: (S, K), float64. grads: (S, K, P) in the gradients' dtype, None where the weighting needs none; parameters that no term
          reaches are left out. layers: how the P are split among the parameter tensors. names: of the K terms.
    """

    names: tuple[str, ...]
    losses: Tensor
    weights: Tensor
    grads: Tensor | None = None
    layers: tuple[int, ...] = ()

    def column(self, reference: str | Sequence[str]) -> int:
        """Of a term, or of the first of several that is there. Raises ValueError where none is."""
        several = (reference,) if isinstance(reference, str) else reference
        there = [name for name in several if name in self.names]
        if not there:
            raise ValueError(f"weighting: the reference {' or '.join(map(repr, several))} is none of the terms {list(self.names)}")
        return self.names.index(there[0])

    @property
    def rows(self) -> Tensor:
        """The gradients (S, K, P)."""
        assert self.grads is not None
        return self.grads

    @property
    def active(self) -> Tensor:
        """Which terms there is something to tell of, (S, K) on the CPU: a gradient, or where none are looked at a loss, that is not zero."""
        return (self.losses if self.grads is None else self.grads.abs().amax(2)).cpu() != 0


class Weighting(abc.ABC):
    """lam_k for every named loss L_k, by what its gradients or its course say.

        lam <- (1 - a) lam + a lam_hat,   log lam <- (1 - a) log lam + a log lam_hat for the geometric mean;   lam_0 = 1
        bias-corrected: lam = m / (1 - (1 - a)^n) after n of them, m_0 = 0: the first is lam_hat
    A term may appear and leave in mid-training; what is remembered of the others stays. One that is new and given with its gradient, or `announced`
    so that the call is `due`, is looked at at once: at weight 1 until the next look it might undo what was learned. A term whose gradient (or loss,
    where no gradients are looked at) is zero, a constraint that is fulfilled say, keeps its weight and does not count for the others; so does one
    that has no finite lam_hat. Nothing bounds a weight. Weights have no gradient. While it is `frozen`, which may be set at
    any time and is part of the state, no call looks, and weights stay as they are: for an optimiser that searches along lines, such as L-BFGS.

    Args:
        average:   a, 1 for the newest alone.
        mean:      "arithmetic" or "geometric".
        corrected: without the pull of lam_0.
        every:     calls from one lam_hat to the next; between them gradients are not needed and weights stay.
        warmup:   calls before the first.
        returning: a term that left and comes back has the weight that it had ("carry") or begins anew ("reset").
    Raises: ValueError for numbers out of range.
    """

    looks_at: ClassVar[Literal["losses", "gradients", "probes"]] = "gradients"
    gradual: ClassVar[bool] = False  # whether it comes to its weights over many looks

    def __init__(
        self,
        average: float = 0.5,
        mean: Mean = "arithmetic",
        corrected: bool = False,
        every: int = 1,
        warmup: int = 0,
        returning: Literal["carry", "reset"] = "carry",
    ) -> None:
        name = type(self).__name__
        if not 0 < average <= 1 or every < 1 or warmup < 0:
            raise ValueError(f"{name}: expected 0 < average <= 1, every >= 1 and warmup >= 0, got {average}, {every} and {warmup}")
        if mean not in ("arithmetic", "geometric") or returning not in ("carry", "reset"):
            raise ValueError(f"{name}: mean is arithmetic or geometric and returning carry or reset, got {mean!r} and {returning!r}")
        self.average, self.mean, self.corrected = average, mean, corrected
        self.every, self.warmup, self.returning = every, warmup, returning
        self.calls, self.frozen, self._joins, self._asked = 0, False, False, False
        self._moving: dict[str, Tensor] = {}  # (S,) float64; of the geometric mean the logarithm
        self._count: dict[str, Tensor] = {}  # how many lam_hat are in it
        self._present: tuple[str, ...] = ()

    @abc.abstractmethod
    def proposed(self, terms: Terms) -> Tensor:
        """lam_hat, (S, K); not finite where there is none."""

    @property
    def due(self) -> bool:
        """Whether the next call looks: only then it must be given what it `looks_at`."""
        return not self.frozen and self.calls >= self.warmup and (self._joins or self._asked or (self.calls - self.warmup) % self.every == 0)

    def announced(self, names: Collection[str]) -> None:
        """Which terms the next call has: with one that it has never looked at, or forgotten, among them the call is due."""
        known = {*self._present} if self.returning == "reset" else {*self._moving}
        self._joins = bool(self._moving) and bool({*names} - known)

    def ask(self) -> None:
        """The next call is due, whenever the last was."""
        self._asked = True

    @property
    def wants_gradients(self) -> bool:
        """Whether the next call must be given a gradient per term."""
        return self.due and self.looks_at == "gradients"

    @torch.no_grad()
    def __call__(
        self, losses: Mapping[str, Tensor], grads: Grads | None = None, select: Sequence[int] | None = None, *, probes: Grads | None = None
    ) -> dict[str, Tensor]:
        """A weight per term, () or (S,) as its loss is and in its dtype.

        Args:   losses: name -> () or (S,). grads: what `gradients` gave of them, needed if `due` where it `looks_at` gradients.
                select: which of its parameters count, the network's say and not a coefficient of the equation; all by default.
                probes: what `gradients` gave of probed residuals, in place of `grads` where it `looks_at` probes.
        Raises: ValueError for no terms, missing gradients and a term that no counted parameter has a gradient of; FloatingPointError naming the term
                of a single run whose loss or gradient is not finite.
        """
        if not losses:
            raise ValueError("weighting: expected one named loss at least, got none")
        names = tuple(losses)
        seen = probes if self.looks_at == "probes" else grads
        if seen is not None or self.looks_at == "losses":
            self.announced(names)
        if self.returning == "reset":
            for name in {*self._moving} - {*self._present}:
                self._forget(name)
        self._present = names
        if self.due:
            if seen is None and self.looks_at == "probes":
                raise ValueError(
                    f"{type(self).__name__}: this call looks at probed residuals, not at gradients of losses; "
                    "give it probes=gradients(problem.probes(batch), parameters)"
                )
            self._look(names, losses, seen, select)
        self._joins = self._asked = False
        if not self.frozen:
            self.calls += 1
        return {name: self.weight(name, loss) for name, loss in losses.items()}

    def _forget(self, name: str) -> None:
        """A term that was away begins anew: all that is known of it goes."""
        del self._moving[name], self._count[name]

    def weight(self, name: str, like: Tensor) -> Tensor:
        """What a term's weight is now, in the shape and dtype of its loss."""
        return self._now(name, like.numel()).to(like.device, like.dtype).reshape(like.shape)

    def _now(self, name: str, seeds: int) -> Tensor:
        if name not in self._moving:
            return torch.ones(seeds, dtype=torch.float64)
        moving, count = self._moving[name], self._count[name]
        if self.corrected:
            shrunk = 1 - (1 - self.average) ** count
            moving = torch.where(count > 0, moving / shrunk.clamp(min=1e-300), 0.0 if self.mean == "geometric" else 1.0)
        return moving.exp() if self.mean == "geometric" else moving

    def _look(self, names: tuple[str, ...], losses: Mapping[str, Tensor], grads: Grads | None, select: Sequence[int] | None) -> None:
        values = torch.stack([loss.detach().reshape(-1).double().cpu() for loss in losses.values()], 1)
        seeds = len(values)
        weights = torch.stack([self._now(name, seeds) for name in names], 1)
        terms = Terms(names, values, weights)
        if self.looks_at != "losses":
            terms = with_gradients(terms, grads, select, type(self).__name__)
        self._check_finite(terms, losses)
        hat = torch.where(terms.active, self.proposed(terms).double().cpu(), math.nan)
        for k, name in enumerate(names):
            self._take(name, hat[:, k])

    def _take(self, name: str, hat: Tensor) -> None:
        taken = hat.isfinite() & (hat > 0)
        new = hat.log() if self.mean == "geometric" else hat
        if name not in self._moving:
            first = 0.0 if self.corrected or self.mean == "geometric" else 1.0
            self._moving[name], self._count[name] = torch.full_like(hat, first), torch.zeros_like(hat)
        old = self._moving[name]
        self._moving[name] = torch.where(taken, (1 - self.average) * old + self.average * torch.where(taken, new, 0.0), old)
        self._count[name] = self._count[name] + taken

    def _check_finite(self, terms: Terms, losses: Mapping[str, Tensor]) -> None:
        if next(iter(losses.values())).ndim:  # a stack: the seed is frozen by the loop's guard, the others go on
            return
        for k, name in enumerate(terms.names):
            if not bool(terms.losses[:, k].isfinite().all()):
                raise FloatingPointError(f"weighting: the loss {name!r} is {terms.losses[0, k]:g}; look at its residual, data and sample points")
            if terms.grads is not None and not bool(terms.grads[:, k].isfinite().all()):
                raise FloatingPointError(f"weighting: the gradient of {name!r} is not finite where the loss is {terms.losses[0, k]:g}")

    def state_dict(self) -> dict[str, Any]:
        """What an interrupted training needs to go on with the same weights."""
        return {
            "rule": type(self).__name__,
            "calls": self.calls,
            "frozen": self.frozen,
            "present": list(self._present),
            "moving": {name: value.clone() for name, value in self._moving.items()},
            "count": {name: value.clone() for name, value in self._count.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Raises: ValueError for the state of another weighting, or a name that is missing or not known."""
        if state.get("rule") != type(self).__name__:
            raise ValueError(f"{type(self).__name__}: expected a state of its own, got that of {state.get('rule', 'something else')}")
        if set(state) != set(self.state_dict()):
            raise ValueError(f"{type(self).__name__}: expected a state of {sorted(self.state_dict())}, got {sorted(state)}")
        self.calls, self.frozen, self._present = int(state["calls"]), bool(state["frozen"]), tuple(state["present"])
        self._moving, self._count = ({name: value.clone() for name, value in state[part].items()} for part in ("moving", "count"))

    @property
    def options(self) -> dict[str, Any]:
        """What makes it, beside the class."""
        return {name: getattr(self, name) for name in ("average", "mean", "corrected", "every", "warmup", "returning")}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.options.items())})"


def with_gradients(terms: Terms, grads: Grads | None, select: Sequence[int] | None, who: str) -> Terms:
    if grads is None or set(grads) != set(terms.names):
        got = "none" if grads is None else f"those of {list(grads)}"
        raise ValueError(f"{who}: this call looks at the gradients of {list(terms.names)}, got {got}; ask `wants_gradients` before it")
    seeds = len(terms.losses)
    count = len(next(iter(grads.values())))
    counted = range(count) if select is None else select
    reached = [i for i in counted if any(grads[name][i] is not None for name in terms.names)]
    for name in terms.names:
        if all(grads[name][i] is None for i in counted):
            raise ValueError(
                f"{who}: the loss {name!r} has no gradient with respect to any parameter that counts; leave it out, or let it depend on one"
            )
    like = {i: next(g for name in terms.names if (g := grads[name][i]) is not None) for i in reached}
    rows = []
    for name in terms.names:
        parts = [torch.zeros_like(like[i]) if (g := grads[name][i]) is None else g for i in reached]
        rows.append(torch.cat([part.detach().reshape(seeds, -1) for part in parts], 1))
    return Terms(terms.names, terms.losses, terms.weights, torch.stack(rows, 1), tuple(like[i].numel() // seeds for i in reached))
