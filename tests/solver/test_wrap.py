"""Any callable is a stepper: with torch or numpy, with or without gradients, with parameters, time and stacked seeds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases.solver_cases import LENGTH, scheme, smooth
from torch import Tensor

from eddygrad.solver.step import Stepper
from eddygrad.solver.unroll import always, repeat, trajectory, unroll
from eddygrad.solver.wrap import wrap


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


@pytest.mark.parametrize("array", ("torch", "numpy"))
def test_a_default_serves_only_where_the_parameter_is_missing(array: str) -> None:
    def step(u: Tensor, factor: float = 2.0, *, shift: float = 0.0, k: int = 7) -> Tensor:
        return factor * u + shift + k

    u = smooth(2)
    stepper = wrap(step, dt=1.0, array=array)  # type: ignore[arg-type]
    assert torch.equal(stepper.at({}, u)(u), 2 * u)
    assert torch.equal(stepper.at({"factor": 5.0}, u)(u, 3), 5 * u + 3)
    factor = torch.tensor([4.0, 0.5], dtype=torch.float64).reshape(2, 1, 1)
    assert torch.equal(stepper.at({"factor": factor, "shift": 1.0}, u)(u), factor * u + 1)


def writes_in_place(u: Tensor, rate: Tensor) -> Tensor:
    u *= 0.5
    rate *= 0.5
    return u


class OwnBuffer:
    """A solver that keeps its result in memory of its own and returns that."""

    def __init__(self, array: str) -> None:
        self.kept = np.zeros((2, 1, 48)) if array == "numpy" else torch.zeros(2, 1, 48, dtype=torch.float64)

    def __call__(self, u: Tensor, rate: Tensor) -> Tensor:
        self.kept[:] = 0.5 * u
        return self.kept  # type: ignore[return-value]


@pytest.mark.parametrize("array, differentiable", (("torch", False), ("torch", True), ("numpy", False)))
@pytest.mark.parametrize("habit", ("writes in place", "own buffer"))
def test_a_solvers_habits_with_memory_change_nothing(array: str, differentiable: bool, habit: str) -> None:
    fn = writes_in_place if habit == "writes in place" else OwnBuffer(array)
    u, rate = smooth(2), torch.ones(2, 1, 1, dtype=torch.float64)
    step = wrap(fn, dt=1.0, differentiable=differentiable, array=array).at({"rate": rate}, u)  # type: ignore[arg-type]
    before = u.clone()
    frames = trajectory(step, u, 3, include_start=True)
    assert torch.equal(u, before) and torch.equal(rate, torch.ones_like(rate))
    assert torch.equal(frames, torch.stack([before, before / 2, before / 4], 1))


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64))
def test_numpy_functions_get_arrays_and_keep_the_dtype(dtype: torch.dtype) -> None:
    def step(u: np.ndarray, viscosity: np.ndarray) -> np.ndarray:
        assert isinstance(u, np.ndarray) and isinstance(viscosity, np.ndarray)
        return np.fft.irfft(np.fft.rfft(u) * (1 - viscosity), n=u.shape[-1])

    u, viscosity = smooth(2).to(dtype), torch.tensor([0.1, 0.2]).reshape(2, 1, 1)
    got = wrap(step, dt=1.0, array="numpy").at({"viscosity": viscosity}, u)(u.requires_grad_())
    assert got.dtype == dtype and not got.requires_grad
    torch.testing.assert_close(got, u.detach() * (1 - viscosity), rtol=0, atol=1e-6, check_dtype=False)


@pytest.mark.parametrize("array, differentiable", (("torch", False), ("torch", True), ("numpy", False)))
def test_parameters_in_float64_do_not_promote_the_state(array: str, differentiable: bool) -> None:
    """Data sets hold parameters in float64; a step of float32 is float32, inside the function too."""
    seen = []

    def step(u: Tensor, viscosity: Tensor, index: Tensor) -> Tensor:
        seen.append((str(u.dtype), str(viscosity.dtype), str(index.dtype)))
        wide = u.astype("float64") if isinstance(u, np.ndarray) else u.double()
        return wide * (1 - viscosity)  # type: ignore[no-any-return]

    u = smooth(2).float().requires_grad_(differentiable)
    viscosity = torch.full((2, 1, 1), 0.1, dtype=torch.float64, requires_grad=differentiable)
    params = {"viscosity": viscosity, "index": torch.arange(2)}
    got = wrap(step, dt=1.0, differentiable=differentiable, array=array).at(params, u)(u)  # type: ignore[arg-type]
    assert got.dtype == torch.float32 and got.requires_grad == differentiable
    assert seen == [("float32", "float32", "int64")] if array == "numpy" else [("torch.float32", "torch.float32", "torch.int64")]
    if differentiable:
        grad_u, grad_viscosity = torch.autograd.grad(got.sum(), (u, viscosity))
        assert (grad_u.dtype, grad_viscosity.dtype) == (torch.float32, torch.float64)
        torch.testing.assert_close(grad_u, torch.full_like(u, 0.9))


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
    with pytest.raises(ValueError, match=r"of the shape of its input, \(2, 1, 48\), got \(2, 1, 24\)"):
        wrap(lambda v: v[..., ::2], dt=1.0).at({}, u)(u)
    with pytest.raises(ValueError, match="expected real numbers for a real state"):
        wrap(lambda v: v * 1j, dt=1.0).at({}, u)(u)
    with pytest.raises(ValueError, match="expected a torch tensor, got ndarray; pass array='numpy'"):
        wrap(lambda v: v.numpy(), dt=1.0).at({}, u)(u)
