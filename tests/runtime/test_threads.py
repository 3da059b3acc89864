"""Small fields are stepped by one thread, and the number is what it was afterwards."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from eddygrad.runtime.threads import one_thread_if_small, threads
from eddygrad.solver.equations.navier_stokes import NavierStokesVorticity
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.schemes.spectral.runge_kutta import RungeKutta
from eddygrad.solver.unroll import repeat


@pytest.mark.parametrize(("points", "batch", "used"), [(64, 1, 1), (64, 8, 2), (256, 1, 2)])
@pytest.mark.parametrize("grad", [False, True])
def test_small_fields_are_stepped_by_one_thread(points, batch, used, grad, monkeypatch):
    seen = []
    forward, back = RungeKutta.advance, RungeKutta.pull
    monkeypatch.setattr(RungeKutta, "advance", lambda *a: seen.append(torch.get_num_threads()) or forward(*a))
    monkeypatch.setattr(RungeKutta, "pull", lambda *a: seen.append(torch.get_num_threads()) or back(*a))
    w = torch.randn(batch, 1, points, points, requires_grad=grad)
    with threads(2):
        step = ETDRK(NavierStokesVorticity(), Grid((points, points)), 1e-3, order=2).at({"viscosity": 1e-2}, w)
        out = repeat(step, w, 2, grad=grad)
        if grad:
            out.square().mean().backward()
        assert torch.get_num_threads() == 2
    assert seen == [used] * (4 if grad else 2)


def test_threads_beside_the_main_one_leave_the_number_alone():
    with threads(2), ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: one_thread_if_small(1, torch.device("cpu")).__enter__()).result() is None
        with one_thread_if_small(1, torch.device("cpu")) as used:
            assert used == 1


def test_the_number_comes_back_after_an_error():
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError, match="inside"), threads(before + 1):
        raise RuntimeError("inside")
    assert torch.get_num_threads() == before
