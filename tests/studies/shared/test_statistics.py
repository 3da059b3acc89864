"""Ratios, intervals and corrections: closed forms, a textbook example, and coverage by simulation."""

from __future__ import annotations

from math import exp, isnan, log, nan, sqrt

import numpy as np
import pytest
from scipy import stats

from eddygrad.studies.shared.statistics import bootstrap, geometric_mean, holm, paired, share, unpaired

A = np.array([0.0021, 0.0018, 0.0030, 0.0016, 0.0024])
B = np.array([0.0025, 0.0026, 0.0031, 0.0021, 0.0022])


def test_paired_ratio_is_the_t_test_of_log_differences() -> None:
    d = np.log(A / B)
    half = stats.t.ppf(0.975, 4) * d.std(ddof=1) / sqrt(5)
    r = paired(A, B)
    # closed form: agreement to round-off
    assert (r.ratio, r.low, r.high) == pytest.approx((exp(d.mean()), exp(d.mean() - half), exp(d.mean() + half)), rel=1e-12)
    assert r.p == pytest.approx(stats.ttest_rel(np.log(A), np.log(B)).pvalue, rel=1e-10)
    assert r.p_rank == stats.wilcoxon(d).pvalue
    assert r.medians == pytest.approx(0.0021 / 0.0025)
    assert r.ratio == pytest.approx(geometric_mean(A) / geometric_mean(B), rel=1e-12)


def test_turning_a_comparison_inverts_it() -> None:
    for test in (paired, unpaired):
        r, back = test(A, B), test(B, A)
        assert (back.ratio, back.low, back.high) == pytest.approx((1 / r.ratio, 1 / r.high, 1 / r.low), rel=1e-12)
        assert back.p == pytest.approx(r.p, rel=1e-9)


def test_units_do_not_matter_but_pairing_does() -> None:
    r, scaled = paired(A, B), paired(7.3 * A, 7.3 * B)
    assert (scaled.ratio, scaled.low, scaled.p) == pytest.approx((r.ratio, r.low, r.p), rel=1e-9)
    together = A * np.array([1.10, 1.12, 1.08, 1.11, 1.09])
    matched, mixed = paired(A, together), paired(A, together[::-1])
    assert mixed.ratio == pytest.approx(matched.ratio, rel=1e-12)
    assert matched.p < 1e-3 < 0.1 < mixed.p


def test_unpaired_is_welch_on_logs() -> None:
    more = np.append(B, [0.004, 0.001])
    r, reference = unpaired(A, more), stats.ttest_ind(np.log(A), np.log(more), equal_var=False)
    interval = reference.confidence_interval(0.95)
    assert r.p == pytest.approx(reference.pvalue, rel=1e-10)
    assert (r.low, r.high) == pytest.approx((exp(interval.low), exp(interval.high)), rel=1e-10)
    assert r.sizes == (5, 7)


def test_one_number_without_seeds_gives_a_one_sample_test() -> None:
    r = paired(A, 0.0025)
    assert r.method == "one-sample t"
    assert r.p == pytest.approx(stats.ttest_1samp(np.log(A), log(0.0025)).pvalue, rel=1e-10)


def test_one_seed_has_a_ratio_but_no_interval() -> None:
    for r in (paired([2.0], [1.0]), unpaired([2.0], [1.0, 1.1])):
        assert r.ratio > 1.8
        assert isnan(r.low) and isnan(r.high) and isnan(r.p) and isnan(r.p_rank)


def test_seeds_that_agree_exactly_leave_no_doubt() -> None:
    same, shifted = paired(A, A), paired(2 * A, A)
    assert (same.ratio, same.low, same.high, same.p) == (1.0, 1.0, 1.0, 1.0)
    assert (shifted.low, shifted.high) == pytest.approx((2.0, 2.0)) and shifted.p == 0.0


def test_a_diverged_seed_counts_and_widens_the_interval() -> None:
    diverged = A.copy()
    diverged[2] = 30.0
    r = paired(diverged, B)
    assert r.sizes == (5, 5)
    assert r.ratio == pytest.approx(paired(A, B).ratio * (30 / 0.0030) ** 0.2, rel=1e-12)
    assert r.low < paired(A, B).low
    assert r.medians < 1.1  # the median hardly moves


@pytest.mark.parametrize("bad", [0.0, -1.0, nan, np.inf])
def test_errors_that_are_not_positive_and_finite_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="positive and finite"):
        paired([1.0, bad], [1.0, 1.0])
    with pytest.raises(ValueError, match="positive and finite"):
        unpaired([1.0, 1.0], [1.0, bad])


def test_different_lengths_are_not_paired() -> None:
    with pytest.raises(ValueError, match="use unpaired"):
        paired(A, B[:3])


def test_holm_textbook_example() -> None:
    # four tests .01 .04 .03 .005: .005 * 4, .01 * 3, .03 * 2, and .04 * 1 lifted to its predecessor's .06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_leaves_out_what_could_not_be_tested() -> None:
    corrected = holm([nan, 0.02, 0.01])
    assert isnan(corrected[0])
    assert corrected[1:] == pytest.approx([0.02, 0.02])
    with pytest.raises(ValueError, match="lie in"):
        holm([1.2])


def test_holm_lies_between_no_correction_and_bonferroni() -> None:
    p = np.random.default_rng(0).uniform(0, 0.2, 7)
    corrected = np.array(holm(list(p)))
    assert (corrected >= p).all() and (corrected <= np.minimum(1, 7 * p) + 1e-15).all()
    assert (np.diff(corrected[np.argsort(p)]) >= 0).all()


def _coverage(n: int, runs: int, interval: object) -> float:
    rng = np.random.default_rng(11)
    hits = 0
    for _ in range(runs):
        shared = rng.normal(0, 0.5, n)
        a, b = np.exp(shared + rng.normal(log(0.8), 0.3, n)), np.exp(shared + rng.normal(0, 0.3, n))
        low, high = interval(a, b)  # type: ignore[operator]
        hits += low <= 0.8 <= high
    return hits / runs


def test_paired_interval_covers_as_often_as_it_says() -> None:
    # 1000 draws: standard error .007, so .95 +- .021 is three of them
    assert _coverage(6, 1000, lambda a, b: (paired(a, b).low, paired(a, b).high)) == pytest.approx(0.95, abs=0.021)


def test_bootstrap_interval_is_a_little_narrow_for_twelve_seeds() -> None:
    # .911 +- .005 over 3000 other draws; here 1000, standard error .009, so three of them
    assert _coverage(12, 1000, lambda a, b: bootstrap(a, b, resamples=499)) == pytest.approx(0.911, abs=0.027)


def test_bootstrap_repeats_and_agrees_with_t_for_many_seeds() -> None:
    rng = np.random.default_rng(3)
    a, b = np.exp(rng.normal(0.2, 0.3, 200)), np.exp(rng.normal(0, 0.3, 200))
    assert bootstrap(a, b, seed=1) == bootstrap(a, b, seed=1)
    for pairs, test in ((True, paired), (False, unpaired)):
        r = test(a, b)
        # resampling noise of 9999 draws and the difference of the methods: well below 1 % of the ratio
        assert bootstrap(a, b, pairs=pairs) == pytest.approx((r.low, r.high), rel=0.01)


def test_bootstrap_of_equal_seeds_is_a_point_and_one_seed_is_refused() -> None:
    assert bootstrap([2.0, 4.0], [1.0, 2.0]) == pytest.approx((2.0, 2.0))
    with pytest.raises(ValueError, match="at least two seeds"):
        bootstrap([1.0], [1.0])


def test_the_interval_of_a_share_is_wilsons() -> None:
    for hits, of in ((3, 20), (0, 20), (20, 20)):
        p, z = hits / of, stats.norm.ppf(0.975)
        half = z * sqrt(p * (1 - p) / of + z * z / (4 * of * of))
        low, high = ((p + z * z / (2 * of) + side * half) / (1 + z * z / of) for side in (-1, 1))
        assert share(hits, of) == pytest.approx((max(0.0, low), min(1.0, high)), abs=1e-9)
