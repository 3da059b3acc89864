"""A trained stepper is tested, and says before anything runs what it cannot do."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from cases.fitting_cases import OPTIONS, data, network, refusal

from eddygrad.correctors.compose import correct, predict
from eddygrad.fitting.corrector import fit_stepper
from eddygrad.solver.wrap import wrap


def test_a_numpy_solver_that_blows_up_is_counted_without_warnings() -> None:
    def blow(u: np.ndarray) -> np.ndarray:
        return 1e3 * (u * u)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = fit_stepper(correct(wrap(blow, dt=1.0, array="numpy"), network(0)), data(), unroll="one", steps=1, batch=2, progress=False)
        test = run.test(horizon=11, baselines=["coarse"])
        assert test.baselines["coarse"].diverged == [1]
    with pytest.warns(RuntimeWarning, match="overflow"):
        blow(np.array(1e200))


def test_the_test_says_before_anything_runs_what_it_cannot_do(monkeypatch: pytest.MonkeyPatch) -> None:
    run = fit_stepper(predict(network(0), 1.0), data(), **OPTIONS)
    assert run.test(horizon=11).model.error_over_time.shape[-1] == 12
    monkeypatch.setattr("eddygrad.fitting.trained.evaluate", lambda *args: pytest.fail("something was computed"))
    assert "horizon 12 needs 13 frames, got 12 in a trajectory; pass horizon=11" in refusal(run.test)
    assert "got 'coarze'" in refusal(lambda: run.test(horizon=3, baselines=["persistence", "coarze"]))
