"""Any callable is a stepper: with torch or numpy, with or without gradients, with parameters, time and stacked seeds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from solver_cases import LENGTH, scheme, smooth
from torch import Tensor

from eddygrad.solver.rollout import always, repeat, trajectory, unroll
from eddygrad.solver.step import Stepper, wrap


def decay(u: Tensor, viscosity: Tensor, k: int) -> Tensor:
    return u * (1 - viscosity) + k


def test_a_wrapped_step_is_a_stepper_like_our_own() -> None:
    u = smooth()
    own = scheme().at({}, u)
    wrapped = wrap(lambda v: own(v), dt=1.0, differentiable=True)
    assert isinstance(wrapped, Stepper) and isinstance(scheme(), Stepper)
    assert wrapped.dt == 1.0 and wrapped.differentiable
    assert torch.equal(wrapped.at({}, u)(u), own(u))
    torch.testing.assert_close(trajectory(wrapped.at({}, u), u, 3), trajectory(own, u, 3), rtol=0, atol=1e-12)


def test_arguments_are_filled_by_name_and_k_is_the_index() -> None:
    u, viscosity = smooth(2), torch.tensor([0.1, 0.2], dtype=torch.float64).reshape(2, 1, 1)
    step = wrap(decay, dt=0.1).at({"viscosity": viscosity, "unused": 1.0}, u)
    assert torch.equal(step(u, 3), u * (1 - viscosity) + 3)
    torch.testing.assert_close(repeat(step, u, 2, k=1), (u * (1 - viscosity) + 1) * (1 - viscosity) + 2)


def test_defaults_stay_the_functions_own() -> None:
    def step(u: Tensor, factor: float = 2.0) -> Tensor:
        return factor * u

    u = smooth(1)
    assert torch.equal(wrap(step, dt=1.0).at({"factor": 5.0}, u)(u), 2 * u)


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64))
def test_numpy_functions_get_arrays_and_keep_the_dtype(dtype: torch.dtype) -> None:
    def step(u: np.ndarray, viscosity: np.ndarray) -> np.ndarray:
        assert isinstance(u, np.ndarray) and isinstance(viscosity, np.ndarray)
        return np.fft.irfft(np.fft.rfft(u) * (1 - viscosity), n=u.shape[-1])

    u, viscosity = smooth(2).to(dtype), torch.tensor([0.1, 0.2]).reshape(2, 1, 1)
    got = wrap(step, dt=1.0, array="numpy").at({"viscosity": viscosity}, u)(u.requires_grad_())
    assert got.dtype == dtype and not got.requires_grad
    torch.testing.assert_close(got, u.detach() * (1 - viscosity), rtol=0, atol=1e-6, check_dtype=False)


def test_gradients_pass_only_through_a_differentiable_step() -> None:
    u, viscosity = smooth(2).requires_grad_(), torch.full((2, 1, 1), 0.1, dtype=torch.float64, requires_grad=True)
    params = {"viscosity": viscosity}
    assert not wrap(decay, dt=1.0).at(params, u)(u).requires_grad
    assert not wrap(lambda v: v, dt=1.0).at({}, u)(u).requires_grad
    through = wrap(decay, dt=1.0, differentiable=True).at(params, u)(u).sum()
    grad_u, grad_viscosity = torch.autograd.grad(through, (u, viscosity))
    assert torch.equal(grad_u, torch.full_like(u, 0.9))
    torch.testing.assert_close(grad_viscosity[:, 0, 0], -u.detach().sum((1, 2)))


def test_gradients_without_time_do_not_need_the_solvers_adjoint() -> None:
    """NOG through our solver, through it without gradients and through its numpy twin is one gradient."""
    u, own = smooth(), scheme(1)
    solver = own.at({}, u)
    twin = wrap(lambda v: solver(torch.from_numpy(v)).numpy(), dt=1.0, array="numpy").at({}, u)
    results = []
    for bound in (solver, wrap(lambda v: solver(v), dt=1.0).at({}, u), twin):
        theta = torch.tensor(0.05, dtype=torch.float64, requires_grad=True)
        frames = unroll(lambda v, k=0, bound=bound, theta=theta: bound(v, k) + theta * v.roll(1, -1), u, 4, always)  # type: ignore[misc]
        results.append(torch.autograd.grad(torch.stack([v.square().mean() for v in frames]).mean(), theta)[0])
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])


@pytest.mark.parametrize("array", ("torch", "numpy"))
def test_stacked_seeds_are_single_runs(array: str) -> None:
    stepper = wrap(lambda u, viscosity: u * (1 - viscosity) + u.mean(-1, keepdims=True), dt=1.0, array=array)  # type: ignore[arg-type]
    u = smooth(6).reshape(2, 3, 1, 48)
    shared = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64).reshape(3, 1, 1)
    for viscosity in (torch.tensor(0.1), 0.1, shared[:1], shared, torch.stack([shared, 2 * shared])):
        stacked = stepper.at({"viscosity": viscosity}, u[0])(u)
        for s in range(2):
            own = viscosity[s] if isinstance(viscosity, Tensor) and viscosity.ndim == 4 else viscosity
            torch.testing.assert_close(stacked[s], stepper.at({"viscosity": own}, u[s])(u[s]), rtol=0, atol=1e-15)


def test_mixed_lengths_reach_the_function_per_sample() -> None:
    lengths = LENGTH * torch.tensor([0.9, 1.2], dtype=torch.float64).reshape(2, 1, 1)
    u = smooth(2)
    stepper = wrap(lambda u, length: scheme().at({"length": length}, u)(u), dt=1.0)
    assert torch.equal(stepper.at({"length": lengths}, u)(u), scheme().at({"length": lengths}, u)(u))


def test_bad_use_is_named() -> None:
    u = smooth(2)
    with pytest.raises(ValueError, match=r"decay needs \['viscosity'\], got \['length'\]"):
        wrap(decay, dt=1.0).at({"length": 1.0}, u)
    with pytest.raises(ValueError, match="expected a callable"):
        wrap(3, dt=1.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="dt must be positive, got -1"):
        wrap(decay, dt=-1)
    with pytest.raises(ValueError, match="'torch' or 'numpy', got 'jax'"):
        wrap(decay, dt=1.0, array="jax")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="numpy functions carry no gradient"):
        wrap(decay, dt=1.0, differentiable=True, array="numpy")
    with pytest.raises(ValueError, match=r"returns the shape that it was given, \(2, 1, 48\), got \(2, 1, 24\)"):
        wrap(lambda v: v[..., ::2], dt=1.0).at({}, u)(u)
