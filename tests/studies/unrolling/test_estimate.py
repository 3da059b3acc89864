"""Expected hours of a comparison of unrolling modalities."""

import dataclasses

import pytest
from cases.tiny_comparison import RUNS, TINY

from eddygrad.studies.unrolling import estimate, study
from eddygrad.studies.unrolling.study import UnrollingStudy


def test_estimate_is_positive_and_writes_nothing(tmp_path):
    rows = UnrollingStudy(TINY, tmp_path / "none").estimate(updates=2)
    assert sorted(row.run for row in rows) == RUNS and not (tmp_path / "none").exists()
    for row in rows:
        # Six updates, and two candidates of two updates for one seed instead of two.
        assert row.updates == 8 and row.seconds_per_update > 0 and row.megabytes > 0 and row.other_seconds > 0
        assert row.hours == pytest.approx((8 * row.seconds_per_update + row.other_seconds) / 3600)
    assert rows.baselines > 0 and "with 1 at a time, if nothing else runs" in str(rows)


def test_estimate_of_two_jobs_comes_from_copies_that_meet_and_takes_their_mean(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    c = dataclasses.replace(TINY, tasks=("predict",))
    rows = UnrollingStudy(c, tmp_path / "none").estimate(updates=2, threads=1, jobs=2)
    assert sorted(row.run for row in rows) == RUNS[2:] and rows.jobs == 2 and all(row.seconds_per_update > 0 for row in rows)
    assert "with 2 at a time, if nothing else runs" in str(rows)


def test_a_test_of_many_frames_is_estimated_on_a_line_through_two_short_ones(monkeypatch):
    """A clock in which a test takes 2 s, and .25 s more a frame: over 100 frames 27 s."""
    now = [0.0]
    monkeypatch.setattr(estimate.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(estimate, "evaluate", lambda stepper, data, horizon, reference, frames: now.__setitem__(0, now[0] + 2 + 0.25 * frames))
    bench = study.Bench(dataclasses.replace(TINY, long_horizon=100))
    assert estimate._testing(bench, bench.setting.coarse) == 27
    bench = study.Bench(dataclasses.replace(TINY, long_horizon=8))
    assert estimate._testing(bench, bench.setting.coarse) == 4


def test_a_validation_is_estimated_on_a_line_through_two_short_ones(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(estimate.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(estimate.Validation, "score", lambda self, stepper: now.__setitem__(0, now[0] + 3 + 0.5 * self.horizon))
    assert estimate._validating(estimate.Validation(None, 100), None) == 53
    assert estimate._validating(estimate.Validation(None, 8), None) == 7
    assert estimate._validating(None, None) == 0
