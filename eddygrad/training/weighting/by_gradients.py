"""Weights from statistics of the terms' gradients g_k: inverse-Dirichlet, max over mean, norms, tangent kernel, minimum-norm vector (MGDA)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor

from eddygrad.training.weighting.averaged import AveragedWeighting
from eddygrad.training.weighting.base import Terms

_ALL = ("largest", "mean")  # references that all terms contribute to
_DRAWS = 8  # random signs of the first estimate of a term's tangent kernel


class InverseDirichlet(AveragedWeighting):
    """Inverse-Dirichlet weights: every weighted gradient gets the same standard deviation as that of the reference.

        lam_hat_k = (std(g_ref) / std(g_k))^power, std over all parameters, unbiased        Maddu, Sturm, Mueller, Sbalzarini 2021 (arXiv 2107.00940)
    Scaling a residual by s scales its gradient's std by s^2, so only power 1 makes lam_k L_k independent of units.

    Where a flat field solves the equation, the training may end at it: the flatter the field, the smaller the gradient of the equation, and the
    smaller the weights of the values that exclude it. With `hold` no lam_hat falls below this fraction of its first value under the same reference.

    Args:
        reference: a term, whose weight is then 1, or several, of which the first present one counts: ("momentum", "data"); "largest" (the published
                   form) or "mean" of the terms' stds.
        power:     exponent of the ratio.
        pool:      std over "all" parameters, or the mean of the stds of the parameter tensors ("layers").
        hold:      fraction of the first lam_hat that is the lower bound; 0 as published.
        options:   see `AveragedWeighting`.
    Raises: ValueError for numbers out of range; at a call, for gradients of a single number.
    """

    def __init__(
        self,
        reference: str | Sequence[str] = "largest",
        power: float = 1.0,
        pool: Literal["all", "layers"] = "all",
        hold: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if not power > 0 or pool not in ("all", "layers") or not 0 <= hold <= 1:
            raise ValueError(f"InverseDirichlet: expected a power above 0, pool all or layers and hold from 0 to 1, got {power}, {pool!r} and {hold}")
        self.reference, self.power, self.pool, self.hold = reference, power, pool, hold
        self._first: dict[str, Tensor] = {}  # first lam_hat under this reference, (S,); only with hold
        self._under = ""

    def proposed(self, terms: Terms) -> Tensor:
        parts = [terms.rows] if self.pool == "all" else terms.rows.split(terms.layers, 2)
        several = [part.double() for part in parts if part.shape[2] > 1]
        if not several:
            raise ValueError(
                f"InverseDirichlet: one number has no standard deviation, and pool {self.pool!r} gives no more; let more parameters count"
            )
        stds = torch.stack([part.std(2) for part in several]).mean(0)
        hat = ((_reference(stds, self.reference, terms) / stds) ** self.power).cpu()
        return self._held(terms, hat) if self.hold else hat

    def _held(self, terms: Terms, hat: Tensor) -> Tensor:
        under = self.reference if isinstance(self.reference, str) and self.reference in _ALL else terms.names[terms.column(self.reference)]
        if under != self._under:  # first values under another reference do not apply
            self._first, self._under = {}, under
        for name, new, there in zip(terms.names, hat.unbind(1), terms.active.unbind(1)):
            known = self._first.get(name, torch.full_like(new, torch.nan))
            self._first[name] = torch.where(known.isnan() & there & new.isfinite() & (new > 0), new, known)
        return torch.where(hat > 0, hat.fmax(self.hold * torch.stack([self._first[name] for name in terms.names], 1)), hat)

    def _forget(self, name: str) -> None:
        super()._forget(name)
        self._first.pop(name, None)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "first": dict(self._first), "under": self._under}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self._first, self._under = dict(state["first"]), str(state["under"])

    @property
    def options(self) -> dict[str, Any]:
        return {"reference": self.reference, "power": self.power, "pool": self.pool, "hold": self.hold, **super().options}


class MaxAverage(AveragedWeighting):
    """lam_hat_k = max|g_ref| / mean|lam_k g_k|, lam_k the weight so far         Wang, Teng, Perdikaris 2021 (arXiv 2001.04536)

    With constant gradients and the arithmetic mean the weight converges to sqrt(max / mean), not to max / mean.

    Args:
        reference: term whose weight is 1, or several, of which the first present one counts.
        options:   see `AveragedWeighting`.
    """

    def __init__(self, reference: str | Sequence[str], **options: Any) -> None:
        super().__init__(**options)
        self.reference = reference

    def proposed(self, terms: Terms) -> Tensor:
        own, sizes = terms.column(self.reference), terms.rows.double().abs()
        hat = sizes[:, own].amax(1, keepdim=True) / (terms.weights.to(sizes.device) * sizes.mean(2))
        hat[:, own] = 1.0
        return hat

    @property
    def options(self) -> dict[str, Any]:
        return {"reference": self.reference, **super().options}


class GradientNorm(AveragedWeighting):
    """lam_hat_k = sum_j |g_j| / |g_k|, Euclidean norms         Wang, Sankaran, Wang, Perdikaris 2023 (arXiv 2308.08468), where average = .1"""

    def __init__(self, average: float = 0.1, **options: Any) -> None:
        super().__init__(average, **options)

    def proposed(self, terms: Terms) -> Tensor:
        norms = torch.linalg.vector_norm(terms.rows.double(), dim=2)
        return norms.sum(1, keepdim=True) / norms


class NeuralTangentKernel(AveragedWeighting):
    """lam_hat_k = sum_j tr K_j / tr K_k, K_k = J_k J_k^T of the residuals of term k by the parameters     Wang, Yu, Perdikaris 2022, arXiv 2007.14527

    The traces, means over the points, are estimated without bias from one backward pass: tr K / N = E |J^T v|^2 / N with random signs v. The rule
    therefore needs gradients of v . r_k / sqrt(N) (`probes`) instead of the losses' gradients. Ratios of single estimates would be biased, so the
    traces are averaged, over 1 / `average` evaluations; the first one has full weight. If a kernel has few directions, one draw of signs may give
    almost zero, so the first estimate of a term is the mean of `draws` draws. A training loop of your own passes
    probes=gradients(problem.probes(batch), parameters) when the weighting is `due`.

    Raises: ValueError for a geometric or corrected mean, because the weights themselves are not averaged.
    """

    needs = "probes"

    def __init__(self, average: float = 0.1, **options: Any) -> None:
        super().__init__(average, **options)
        if self.mean != "arithmetic" or self.corrected:
            raise ValueError("NeuralTangentKernel: averages traces, not weights; leave out mean and corrected")
        self._share, self.average = self.average, 1.0  # average of the traces; their ratios are not averaged
        self._traces: dict[str, Tensor] = {}  # (S,)
        self.draws = _DRAWS

    def announce(self, names: Collection[str]) -> None:
        super().announce(names)
        forgotten = {*self._moving} - {*self._present} if self.returning == "reset" else set()
        self.draws = _DRAWS if {*names} - ({*self._traces} - forgotten) else 1

    def proposed(self, terms: Terms) -> Tensor:
        now = terms.rows.double().square().sum(2).cpu()
        there = terms.active & now.isfinite()
        for name, new, taken in zip(terms.names, now.unbind(1), there.unbind(1)):
            old = self._traces.get(name, torch.zeros_like(new))
            mean = torch.where(old > 0, (1 - self._share) * old + self._share * new, new)
            self._traces[name] = torch.where(taken, mean, old)
        traces = torch.stack([self._traces[name] for name in terms.names], 1)
        return torch.where(there, traces, 0.0).sum(1, keepdim=True) / traces

    def _forget(self, name: str) -> None:
        super()._forget(name)
        self._traces.pop(name, None)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "traces": {name: value.clone() for name, value in self._traces.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self._traces = {name: value.clone() for name, value in state["traces"].items()}

    @property
    def options(self) -> dict[str, Any]:
        return {**super().options, "average": self._share}


class MGDA(AveragedWeighting):
    """Weights of the shortest vector in the convex hull of the gradients        Desideri 2012; Sener, Koltun 2018 (arXiv 1810.04650)

        min |sum_k lam_k g_k|^2,   lam_k >= 0,   sum_k lam_k = 1

    Of two terms lam_1 = clip((g_2 - g_1) . g_2 / |g_1 - g_2|^2, 0, 1). Solved exactly: with G = R^T R the Gram matrix, the least squares of
    [R; 1^T] y = [0; 1], y >= 0, has y along lam. A term whose gradient is by far the largest gets almost no weight, 1e-8 for Poisson's equation.

    Args:
        total:   sum of the weights; None: the number of terms, so that equal weights are 1.
        floor:   lower bound of a share, 1e-5 in the code of Maddu et al. 2021.
        average, options: see `AveragedWeighting`.
    Raises: ValueError for a floor below 0; at a call, for one so high that the shares of all terms exceed 1.
    """

    def __init__(self, total: float | None = 1.0, average: float = 1.0, floor: float = 0.0, **options: Any) -> None:
        super().__init__(average, **options)
        if not floor >= 0:
            raise ValueError(f"MGDA: the floor must be at least 0, got {floor}")
        self.total, self.floor = total, floor

    def proposed(self, terms: Terms) -> Tensor:
        rows = terms.rows.double()
        gram = (rows @ rows.mT).cpu().numpy()
        shares = torch.from_numpy(np.stack([_least(g) for g in gram]))
        if self.floor:
            if len(terms.names) * self.floor > 1:
                raise ValueError(f"MGDA: {len(terms.names)} shares of at least {self.floor} exceed 1")
            spare = 1 - shares.isfinite().sum(1, keepdim=True) * self.floor
            above = (shares - self.floor).clamp(min=0)
            shares = self.floor + above * (spare / above.nansum(1, keepdim=True)).nan_to_num(0.0, posinf=0.0)
        return shares * (terms.active.sum(1, keepdim=True) if self.total is None else self.total)

    def _take(self, name: str, hat: Tensor) -> None:
        super()._take(name, hat.clamp(min=1e-300))  # the average ignores a weight of exactly zero

    @property
    def options(self) -> dict[str, Any]:
        return {"total": self.total, "floor": self.floor, **super().options}


def _least(gram: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the shares of the shortest vector, (K,); NaN for zero gradients, which would make it zero, and for a matrix that is not finite."""
    found = np.full(len(gram), np.nan)
    there = np.flatnonzero(np.diagonal(gram))
    if len(there) and np.isfinite(gram).all():
        inner = gram[np.ix_(there, there)]
        values, vectors = np.linalg.eigh(inner / (np.trace(inner) / len(there)))
        root = np.sqrt(values.clip(min=0))[:, None] * vectors.T
        y, _ = nnls(np.vstack([root, np.ones(len(there))]), np.append(np.zeros(len(there)), 1.0))
        found[there] = y / y.sum()
    return found


def _reference(values: Tensor, reference: str | Sequence[str], terms: Terms) -> Tensor:
    """Return the largest of the values (S, K), their mean, or the value of one term, as (S, 1)."""
    if reference == "largest":
        return values.amax(1, keepdim=True)
    if reference == "mean":
        return torch.where(terms.active.to(values.device), values, torch.nan).nanmean(1, keepdim=True)
    return values[:, [terms.column(reference)]]
