"""Hours of a study whose runs share the jobs."""

import pytest

from eddygrad.studies.shared.estimate import Estimate, Estimates


def test_an_estimate_counts_baselines_and_fills_the_jobs():
    """Runs of 3, 1, 1 and 1 hours after half an hour of baselines: two jobs take 3.5 hours, one takes 6.5."""
    runs = [Estimate(str(i), updates, 36.0, 1.0, other) for i, (updates, other) in enumerate([(250, 1800), (100, 0), (50, 1800), (100, 0)])]
    assert Estimates(runs, 1800.0, 2).elapsed_hours == pytest.approx(3.5)
    assert Estimates(runs, 1800.0, 1).elapsed_hours == Estimates(runs, 1800.0, 1).hours == pytest.approx(6.5)
