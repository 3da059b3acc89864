"""A finer grid behind coarse states: the same flow where the coarse grid resolves it, more of it where it does not."""

import pytest
import torch

from eddygrad.datasets.recipes import kolmogorov
from eddygrad.solver.finer_grid import Refined
from eddygrad.solver.grid import Grid
from eddygrad.solver.initial import random_fourier
from eddygrad.solver.step import StayingStep
from eddygrad.solver.transforms import limited
from eddygrad.solver.unroll import frames_of, repeat, trajectory
from eddygrad.solver.vector_calculus import velocity
from eddygrad.solver.wrap import wrap

COARSE = Grid((32, 32))
PARAMS = {"viscosity": 1 / 600}


@pytest.fixture
def u():
    return velocity(random_fourier(COARSE, 2, bandlimit=4, rms=1.0, seed=3), COARSE)


def test_a_plain_call_is_the_fine_step_between_two_changes_of_grid(u):
    refined = kolmogorov.finer(64)
    fine = refined.solver.at(PARAMS, torch.empty(2, 2, 64, 64, dtype=u.dtype))
    up = limited(u, COARSE, 10, (64, 64))
    torch.testing.assert_close(refined.at(PARAMS, u)(u), limited(fine(up), Grid((64, 64)), 10, (32, 32)), rtol=0, atol=1e-13)


def test_frames_read_inside_are_those_of_the_fine_run_and_not_of_one_that_forgets(u):
    refined = kolmogorov.finer(64)
    step, fine = refined.at(PARAMS, u), refined.solver.at(PARAMS, torch.empty(2, 2, 64, 64, dtype=u.dtype))
    whole = trajectory(step, u, 30, include_start=True, inside=refined.info().stays_inside)
    last = limited(repeat(fine, limited(u, COARSE, 10, (64, 64)), 29), Grid((64, 64)), 10, (32, 32))
    torch.testing.assert_close(whole[:, -1], last, rtol=0, atol=1e-12)
    forgetful = trajectory(step, u, 30, include_start=True)
    assert (whole[:, -1] - forgetful[:, -1]).abs().max() > 1e-6


@pytest.mark.parametrize("options", [{}, {"stride": 3}, {"warmup": 2}, {"warmup": 2, "stride": 2, "include_start": True}, {"include_start": True}])
@pytest.mark.parametrize("frames", [0, 1, 4])
def test_staying_inside_gives_the_frames_of_leaving(u, options, frames):
    step = kolmogorov.coarse().at(PARAMS, u)
    left, stayed = list(frames_of(step, u, frames, **options)), list(frames_of(step, u, frames, inside=True, **options))
    assert len(left) == len(stayed) == frames
    for a, b in zip(left, stayed):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_the_index_of_a_step_counts_on_inside():
    seen = []

    class Counting(StayingStep):
        def enter(self, u):
            return u

        def inner(self, u, k=0):
            seen.append(k)
            return u

        def leave(self, u):
            return u

    list(frames_of(Counting(), torch.zeros(1), 3, stride=2, warmup=1, inside=True))
    assert seen == list(range(7))


def test_a_solver_without_a_fitting_grid_is_refused():
    with pytest.raises(ValueError, match="expected a stepper with a grid on the box"):
        Refined(wrap(lambda u: u, dt=1.0), COARSE)
    with pytest.raises(ValueError, match="expected a stepper with a grid on the box"):
        Refined(kolmogorov.coarse(), Grid((32,)))
    with pytest.raises(ValueError, match="expected a stepper with a grid on the box"):
        Refined(kolmogorov.coarse(), Grid((16, 16), 1.0))
