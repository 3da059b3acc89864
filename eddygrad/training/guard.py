"""Per-seed protection against gradients that are not finite, too long or outliers."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor


@dataclass
class Guard:
    """Per-seed freezing, outlier skipping and clipping, in that order.

    freeze:  a seed whose loss or gradient is not finite is frozen for good, with a warning; the others continue unchanged. A single run raises
             instead, and so does a stack that loses every seed before any of them was updated.
    outlier: an update whose gradient norm exceeds the cutoff, `outlier` times its moving average (decay `decay`, after `settle` updates), is
             skipped. The average takes it as if it were as long as the cutoff, so that a rise that lasts is let through after some updates:
             a_{k+1} = decay a_k + (1 - decay) min(|g_k|, outlier a_k).
    clip:    a longer gradient is scaled to this norm.
    None switches a rule off. Counters: `skipped`, `clipped` per seed, `frozen_at` (update, or -1).

    Raises: ValueError for an outlier factor of 1 or less, which would skip for ever, or a clip that is not positive.
    """

    clip: float | None = None
    outlier: float | None = None
    decay: float = 0.99
    settle: int = 100
    skipped: list[int] = field(default_factory=list)
    clipped: list[int] = field(default_factory=list)
    frozen_at: list[int] = field(default_factory=list)
    average: list[float] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        if (self.outlier is not None and not self.outlier > 1) or (self.clip is not None and not self.clip > 0):
            raise ValueError(f"Guard: outlier > 1 and clip > 0 expected, got outlier={self.outlier}, clip={self.clip}; None switches a rule off")

    def start(self, seeds: int) -> Guard:
        """Return a guard with the same rules for a run of so many seeds, with counters at zero."""
        return replace(self, skipped=[0] * seeds, clipped=[0] * seeds, seen=[0] * seeds, frozen_at=[-1] * seeds, average=[0.0] * seeds)

    @property
    def alive(self) -> list[bool]:
        """Seeds that are not frozen."""
        return [at < 0 for at in self.frozen_at]

    def admit(
        self,
        loss: Tensor,
        grad: Tensor,
        step: int,
        seeds: tuple[int, ...] | None,
        culprit: Callable[[], int | None] = lambda: None,
        terms: Mapping[str, Tensor] | None = None,
    ) -> list[bool]:
        """Decide which seeds are updated; scale `grad` (S, P) in place where it is clipped.

        Args:
            loss, grad:  loss () or (S,) and gradient (S, P).
            step, seeds: number of the update; seeds of a stack, None for a single run.
            culprit:     finds the sample of the window that made a single run diverge; called only then.
            terms:       losses by name, () or (S,) each.
        Raises: FloatingPointError for a single run that is not finite, and for a stack that is frozen as a whole at update 0.
        """
        norms = _norms(grad)
        finite = (torch.isfinite(loss.reshape(-1)) & torch.isfinite(norms)).tolist()
        lengths = norms.tolist()
        active, lost = self.alive, {}
        for i, ok in enumerate(finite):
            if not active[i]:
                continue
            if not ok:
                self.frozen_at[i], active[i] = step, False
                lost[i] = _reason(i, loss, terms or {})
                if seeds is None:
                    _raise_diverged(lost[i], step, culprit())
            elif self._is_outlier(i, lengths[i]):
                self.skipped[i] += 1
                active[i] = False
            elif self.clip is not None and lengths[i] > self.clip:
                grad[i] *= self.clip / lengths[i]
                self.clipped[i] += 1
        if lost and seeds is not None:
            self._warn(lost, step, seeds)
        return active

    def _warn(self, lost: dict[int, str], step: int, seeds: tuple[int, ...]) -> None:
        """Warn of the seeds that were frozen at this update; raise if no seed is left and none was ever updated."""
        named = ", ".join(f"seed {seeds[i]} ({why})" for i, why in lost.items())
        if all(at == 0 for at in self.frozen_at):
            raise FloatingPointError(
                f"fit: no seed can be trained, at update 0 there is {named}; look for NaN in the solver's states, the data and the weights"
            )
        left = f"the other {sum(self.alive)} go on" if any(self.alive) else "none is left, training ends here"
        warnings.warn(f"fit: frozen at update {step}: {named}; {left}", RuntimeWarning, stacklevel=2)

    def _is_outlier(self, i: int, norm: float) -> bool:
        if self.outlier is None:
            return False
        cutoff = self.outlier * self.average[i]
        # Gradients that were all zero give no scale.
        outlying = self.seen[i] >= self.settle and norm > cutoff > 0
        taken = cutoff if outlying else norm
        self.average[i] = taken if self.seen[i] == 0 else self.decay * self.average[i] + (1 - self.decay) * taken
        self.seen[i] += 1
        return outlying


def _reason(i: int, loss: Tensor, terms: Mapping[str, Tensor]) -> str:
    """Say which loss or gradient of seed i is not finite."""
    value = loss.reshape(-1)[i].item()
    wrong = [name for name, term in terms.items() if not math.isfinite(term.reshape(-1)[i].item())]
    return f"loss {value}{' in ' + ', '.join(wrong) if wrong else ''}" + " with a gradient that is not finite" * math.isfinite(value)


def _raise_diverged(reason: str, step: int, sample: int | None) -> None:
    where = f"update {step}" + (f", sample {sample} of its window" if sample is not None else "")
    raise FloatingPointError(f"fit: the run has diverged: {reason} at {where}; lower the learning rate, clip gradients or shorten the horizon")


def _norms(grad: Tensor) -> Tensor:
    """Norms (S,) of the rows of a gradient (S, P)."""
    norms = torch.linalg.vector_norm(grad, dim=1)
    if not bool(norms.isfinite().all()):  # squares may overflow where no entry does
        norms = torch.where(norms.isfinite(), norms.double(), torch.linalg.vector_norm(grad, dim=1, dtype=torch.float64))
    return norms
