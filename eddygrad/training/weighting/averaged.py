"""Weights that are averages over updates: what the rules on gradients, on losses and the learned ones share."""

from __future__ import annotations

import abc
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from eddygrad.training.weighting.base import Grads, Needs, Terms, Weighting

Mean = Literal["arithmetic", "geometric"]


class AveragedWeighting(Weighting):
    """Weights lam_k of the losses L_k as averages over calls of what a rule proposes from losses or gradients.

        lam <- (1 - a) lam + a lam_hat,   log lam <- (1 - a) log lam + a log lam_hat for the geometric mean;   lam_0 = 1
        bias-corrected: lam = m / (1 - (1 - a)^n) after n of them, m_0 = 0: the first is lam_hat

    A term may appear and leave during the training; the averages of the others stay. A new term makes the call due if it comes with its gradient or
    was announced: with weight 1 until the next evaluation it might undo what was learned. A term whose gradient (or loss, if no gradients are needed)
    is zero, such as a fulfilled constraint, keeps its weight and does not count for the others; so does a term without a finite lam_hat. Weights are
    not bounded and have no gradient. While the weighting is `frozen`, which is part of its state, all weights stay as they are: line searches such
    as L-BFGS need that.

    Args:
        average:   a; 1 uses the newest proposal alone.
        mean:      "arithmetic" or "geometric".
        corrected: average without lam_0.
        every:     calls from one proposal to the next; calls between need no gradients.
        warmup:    calls before the first proposal.
        returning: a term that left and comes back continues with its weight ("carry") or starts anew ("reset").
    Raises: ValueError for numbers out of range.
    """

    needs: Needs = "gradients"

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
        self.calls, self.frozen, self._joins, self._forced = 0, False, False, False
        self._moving: dict[str, Tensor] = {}  # (S,) float64; of the geometric mean the logarithm
        self._count: dict[str, Tensor] = {}  # how many lam_hat are in it
        self._present: tuple[str, ...] = ()

    @abc.abstractmethod
    def proposed(self, terms: Terms) -> Tensor:
        """Return lam_hat, (S, K); not finite where the rule has none."""

    @property
    def due(self) -> bool:
        """Whether the next call evaluates the rule: only then it must be given what it `needs`."""
        return not self.frozen and self.calls >= self.warmup and (self._joins or self._forced or (self.calls - self.warmup) % self.every == 0)

    def announce(self, names: Collection[str]) -> None:
        """Announce the terms of the next call; a term without an average makes it due."""
        known = {*self._present} if self.returning == "reset" else {*self._moving}
        self._joins = bool(self._moving) and bool({*names} - known)

    def force(self) -> None:
        """Make the next call due, whenever the last one was."""
        self._forced = True

    def correct(self) -> None:
        self.corrected = True

    @torch.no_grad()
    def __call__(
        self, losses: Mapping[str, Tensor], grads: Grads | None = None, select: Sequence[int] | None = None, *, probes: Grads | None = None
    ) -> dict[str, Tensor]:
        """Return a weight per term in the shape and dtype of its loss.

        Args:
            losses: name -> () or (S,).
            grads:  result of `gradients` for them; required if the call is due and the rule needs gradients.
            select: numbers of the parameters that count, e.g. those of the network without coefficients of the equation; None: all.
            probes: result of `gradients` for probes of the residuals, instead of `grads` for a rule that needs probes.
        Raises: ValueError for no terms, missing gradients, or a term that depends on no counted parameter; FloatingPointError, with the name of the
                term, if a single run's loss or gradient is not finite.
        """
        if not losses:
            raise ValueError("weighting: expected at least one named loss, got none")
        names = tuple(losses)
        seen = probes if self.needs == "probes" else grads
        if seen is not None or self.needs == "losses":
            self.announce(names)
        if self.returning == "reset":
            for name in {*self._moving} - {*self._present}:
                self._forget(name)
        self._present = names
        if self.due:
            if seen is None and self.needs == "probes":
                raise ValueError(
                    f"{type(self).__name__}: this call needs gradients of probed residuals, not of losses; "
                    "pass probes=gradients(problem.probes(batch), parameters)"
                )
            self._evaluate(names, losses, seen, select)
        self._joins = self._forced = False
        if not self.frozen:
            self.calls += 1
        return {name: self.weight(name, loss) for name, loss in losses.items()}

    def _forget(self, name: str) -> None:
        """Drop the averages of a term that was away."""
        del self._moving[name], self._count[name]

    def weight(self, name: str, like: Tensor) -> Tensor:
        """Return the current weight of a term in the shape and dtype of its loss."""
        return self._now(name, like.numel()).to(like.device, like.dtype).reshape(like.shape)

    def _now(self, name: str, seeds: int) -> Tensor:
        if name not in self._moving:
            return torch.ones(seeds, dtype=torch.float64)
        moving, count = self._moving[name], self._count[name]
        if self.corrected:
            shrunk = 1 - (1 - self.average) ** count
            moving = torch.where(count > 0, moving / shrunk.clamp(min=1e-300), 0.0 if self.mean == "geometric" else 1.0)
        return moving.exp() if self.mean == "geometric" else moving

    def _evaluate(self, names: tuple[str, ...], losses: Mapping[str, Tensor], grads: Grads | None, select: Sequence[int] | None) -> None:
        values = torch.stack([loss.detach().reshape(-1).double().cpu() for loss in losses.values()], 1)
        seeds = len(values)
        weights = torch.stack([self._now(name, seeds) for name in names], 1)
        terms = Terms(names, values, weights)
        if self.needs != "losses":
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
        if next(iter(losses.values())).ndim:  # in a stack the loop's guard freezes the seed and the others continue
            return
        for k, name in enumerate(terms.names):
            if not bool(terms.losses[:, k].isfinite().all()):
                raise FloatingPointError(f"weighting: the loss {name!r} is {terms.losses[0, k]:g}; check its residual, data and sample points")
            if terms.grads is not None and not bool(terms.grads[:, k].isfinite().all()):
                raise FloatingPointError(f"weighting: the gradient of {name!r} is not finite where the loss is {terms.losses[0, k]:g}")

    def state_dict(self) -> dict[str, Any]:
        """Return everything that an interrupted training needs to continue with the same weights."""
        return {
            "rule": type(self).__name__,
            "calls": self.calls,
            "frozen": self.frozen,
            "present": list(self._present),
            "moving": {name: value.clone() for name, value in self._moving.items()},
            "count": {name: value.clone() for name, value in self._count.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state. Raises ValueError for the state of another weighting, or a missing or unknown entry."""
        if state.get("rule") != type(self).__name__:
            raise ValueError(f"{type(self).__name__}: expected its own state, got that of {state.get('rule', 'something else')}")
        if set(state) != set(self.state_dict()):
            raise ValueError(f"{type(self).__name__}: expected a state of {sorted(self.state_dict())}, got {sorted(state)}")
        self.calls, self.frozen, self._present = int(state["calls"]), bool(state["frozen"]), tuple(state["present"])
        self._moving, self._count = ({name: value.clone() for name, value in state[part].items()} for part in ("moving", "count"))

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of the class that make this weighting."""
        return {name: getattr(self, name) for name in ("average", "mean", "corrected", "every", "warmup", "returning")}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.options.items())})"


def with_gradients(terms: Terms, grads: Grads | None, select: Sequence[int] | None, who: str) -> Terms:
    """Return the terms with their gradients as rows (S, K, P).

    Args:
        terms:  losses and weights.
        grads:  name -> one gradient per parameter, or None where the loss does not depend on it.
        select: numbers of the parameters that count; None: all.
        who:    class that needs them, for the error.
    Raises: ValueError for missing gradients, or a loss that depends on no counted parameter.
    """
    if grads is None or set(grads) != set(terms.names):
        got = "none" if grads is None else f"those of {list(grads)}"
        raise ValueError(f"{who}: this call needs the gradients of {list(terms.names)}, got {got}; see `needs_gradients`")
    seeds = len(terms.losses)
    count = len(next(iter(grads.values())))
    counted = range(count) if select is None else select
    reached = [i for i in counted if any(grads[name][i] is not None for name in terms.names)]
    for name in terms.names:
        if all(grads[name][i] is None for i in counted):
            raise ValueError(f"{who}: the loss {name!r} depends on no parameter that counts; leave it out, or let it depend on one")
    like = {i: next(g for name in terms.names if (g := grads[name][i]) is not None) for i in reached}
    rows = []
    for name in terms.names:
        parts = [torch.zeros_like(like[i]) if (g := grads[name][i]) is None else g for i in reached]
        rows.append(torch.cat([part.detach().reshape(seeds, -1) for part in parts], 1))
    return Terms(terms.names, terms.losses, terms.weights, torch.stack(rows, 1), tuple(like[i].numel() // seeds for i in reached))
