"""Statistics of a study: ratios of errors between models, with intervals, over training seeds.

Errors of trained networks scatter by factors, not by differences, so all statistics use the log scale. No run is dropped: the error of a diverged run
is finite by definition (each e(t) is clipped at 30, see `eddygrad.evaluation.metrics`) and counts like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, isnan, nan, sqrt
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats


@dataclass(frozen=True)
class Ratio:
    """The ratio of two models' errors: below 1 the first model is better.

    Args:
        ratio:     ratio of the geometric means over seeds.
        low, high: ends of its interval; NaN if one seed gives no interval.
        p:         two-sided p-value of ratio = 1; NaN if there is none.
        p_rank:    the same from ranks (Wilcoxon signed-rank, Mann-Whitney if unpaired), which no outlier can change much.
        medians:   ratio of the medians.
        sizes:     number of seeds of either model.
        method:    of the interval. level: of the interval.
        apart:     the seeds that diverged in neither model differ significantly, and p is theirs: the clipped error of a diverged seed can widen the
                   interval so much that it contains 1 in spite of that.
    """

    ratio: float
    low: float
    high: float
    p: float
    p_rank: float
    medians: float
    sizes: tuple[int, int]
    method: Literal["paired t", "one-sample t", "Welch t"]
    level: float = 0.95
    apart: bool = False

    @property
    def tie(self) -> bool:
        """Whether the gap is below the spread of the seeds: the interval contains 1, or there is none."""
        return not (self.apart or self.low > 1 or self.high < 1)


def geometric_mean(errors: ArrayLike) -> float:
    """Return exp(mean(log e)); 0 if any error is 0."""
    values = np.asarray(errors, dtype=np.float64)
    if np.any(values == 0):
        return 0.0
    return float(np.exp(np.mean(np.log(values))))


def share(hits: int, of: int, level: float = 0.95) -> tuple[float, float]:
    """Return the ends of the score interval of a binomial share.

        (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)                                Wilson 1927

    Args: hits: number of successes. of: number of trials n. level: of the interval.
    """
    interval = stats.binomtest(hits, of).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)


def paired(first: ArrayLike, second: ArrayLike, level: float = 0.95) -> Ratio:
    """Return the ratio of two models trained with the same seeds.

        d_s = log first_s - log second_s,   ratio = exp(mean d),   interval exp(mean d +- t_{n-1} sd(d) / sqrt(n))

    Args:    first, second: one error per seed, in the same order; `second` may be a single number, the error of a baseline without seeds.
             level: of the interval.
    Returns: the ratio; with one seed its interval and p-values are NaN.
    Raises:  ValueError for lengths that differ, or errors that are not positive and finite.
    """
    a, b = _logs(first, "first"), _logs(second, "second")
    if b.size != a.size and b.size != 1:
        raise ValueError(f"paired: expected as many errors on both sides, got {a.size} and {b.size}; use unpaired for different seeds")
    d = a - b
    low, high, p = _interval(float(d.mean()), _standard_error(d), d.size - 1, level)
    method: Literal["paired t", "one-sample t"] = "one-sample t" if b.size == 1 and a.size > 1 else "paired t"
    return Ratio(exp(d.mean()), low, high, p, _signed_rank(d), _median_ratio(a, b), (a.size, b.size), method, level)


def unpaired(first: ArrayLike, second: ArrayLike, level: float = 0.95) -> Ratio:
    """Return the ratio of two models trained with different seeds: Welch's t on the logs, degrees of freedom after Satterthwaite.

    Args:    first, second: one error per seed. level: of the interval.
    Raises:  ValueError for errors that are not positive and finite.
    """
    a, b = _logs(first, "first"), _logs(second, "second")
    va, vb = _standard_error(a) ** 2, _standard_error(b) ** 2
    pooled = va**2 / max(a.size - 1, 1) + vb**2 / max(b.size - 1, 1)
    freedom = (va + vb) ** 2 / pooled if pooled > 0 else float(a.size + b.size - 2)
    difference = float(a.mean() - b.mean())
    low, high, p = _interval(difference, sqrt(va + vb), freedom if min(a.size, b.size) > 1 else 0, level)
    rank = float(stats.mannwhitneyu(a, b).pvalue) if min(a.size, b.size) > 1 else nan
    return Ratio(exp(difference), low, high, p, rank, _median_ratio(a, b), (a.size, b.size), "Welch t", level)


def by_seed(first: Mapping[Any, float], second: Mapping[Any, float], level: float = 0.95) -> Ratio:
    """Return the ratio of errors {seed: error}: paired if both models have the same seeds, in any order, else unpaired.

    Args: first, second: errors by seed. level: of the interval.
    """
    if set(first) == set(second):
        return paired(list(first.values()), [second[seed] for seed in first], level)
    return unpaired(list(first.values()), list(second.values()), level)


def bootstrap(
    first: ArrayLike, second: ArrayLike, level: float = 0.95, resamples: int = 9999, seed: int = 0, pairs: bool = True
) -> tuple[float, float]:
    """Return the bias-corrected, accelerated bootstrap interval of the ratio of geometric means (Efron 1987), which needs no normal logs.

    It is too narrow with few seeds: on normal logs a 95 % interval contained the truth in 87 % of draws with 6 seeds, 91 % with 12, 95 % with 30,
    while the t-interval contained it in 95 to 96 %. So quote the t-interval.

    Args:    first, second: one error per seed. level: of the interval. resamples: number of resamples. seed: of their generator.
             pairs: whether pairs of one seed are resampled, or the errors of each model separately.
    Returns: (low, high); equal ends if all seeds agree.
    Raises:  ValueError for fewer than two seeds or errors that are not positive and finite.
    """
    a, b = _logs(first, "first"), _logs(second, "second")
    if min(a.size, b.size) < 2 or (pairs and a.size != b.size):
        raise ValueError(f"bootstrap: expected at least two seeds on both sides, equally many if paired, got {a.size} and {b.size}")
    samples = (a - b,) if pairs else (a, b)
    if all(np.ptp(x) == 0 for x in samples):
        return exp(a.mean() - b.mean()), exp(a.mean() - b.mean())

    def statistic(*x: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        return x[0].mean(axis) if len(x) == 1 else x[0].mean(axis) - x[1].mean(axis)

    rng = np.random.default_rng(seed)
    ends = stats.bootstrap(samples, statistic, n_resamples=resamples, confidence_level=level, rng=rng, vectorized=True).confidence_interval
    return exp(ends.low), exp(ends.high)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values after Holm's step-down correction for a family of tests (Holm 1979): the chance of any false positive stays below the level.

        p~_(i) = max_{j <= i} min(1, (m - j + 1) p_(j))

    Args:    p_values: of one family; a NaN, from a test that was not possible, stays NaN and does not count.
    Returns: corrected p-values in the order given.
    Raises:  ValueError for a p-value outside [0, 1].
    """
    bad = [p for p in p_values if not isnan(p) and not 0 <= p <= 1]
    if bad:
        raise ValueError(f"holm: p-values lie in [0, 1], got {bad[0]}")
    order = sorted((i for i, p in enumerate(p_values) if not isnan(p)), key=lambda i: p_values[i])
    corrected, largest = [nan] * len(p_values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected


def _logs(errors: ArrayLike, name: str) -> NDArray[np.float64]:
    values = np.atleast_1d(np.asarray(errors, dtype=np.float64))
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"{name}: expected one error per seed, got shape {values.shape}")
    if not np.all(np.isfinite(values) & (values > 0)):
        worst = values[~(np.isfinite(values) & (values > 0))][0]
        raise ValueError(f"{name}: errors must be positive and finite, got {worst}; clip e(t) at 30, so that a diverged run still counts")
    return np.log(values)


def _standard_error(x: NDArray[np.float64]) -> float:
    return float(x.std(ddof=1)) / sqrt(x.size) if x.size > 1 else 0.0


def _interval(center: float, error: float, freedom: float, level: float) -> tuple[float, float, float]:
    """Return the ends of the interval on the ratio scale, and the p-value of center = 0."""
    if not 0 < level < 1:
        raise ValueError(f"level: expected a fraction such as 0.95, got {level}")
    if freedom <= 0:
        return nan, nan, nan
    if error <= 1e-14 * max(1.0, abs(center)):  # all seeds agree to round-off
        return exp(center), exp(center), 1.0 if abs(center) < 1e-14 else 0.0
    half = float(stats.t.ppf(0.5 + level / 2, freedom)) * error
    return exp(center - half), exp(center + half), float(2 * stats.t.sf(abs(center) / error, freedom))


def _signed_rank(d: NDArray[np.float64]) -> float:
    if d.size < 2:
        return nan
    return 1.0 if np.all(d == 0) else float(stats.wilcoxon(d).pvalue)


def _median_ratio(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(np.median(np.exp(a)) / np.median(np.exp(b)))
