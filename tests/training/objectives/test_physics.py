"""Losses of predicted frames beside the squared error: their laws, their gradients, one seed as a stack, and what a weighting makes of them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from eddygrad import presets
from eddygrad.correctors.compose import Corrected, correct
from eddygrad.correctors.resnet import ResNet
from eddygrad.correctors.seeded_network import seed_options
from eddygrad.datasets.dataset import Dataset
from eddygrad.fitting.corrector import fit_stepper
from eddygrad.fitting.recipe import TrainingRecipe
from eddygrad.solver.grid import Grid
from eddygrad.solver.unroll import Window, trajectory
from eddygrad.solver.vector_calculus import leray
from eddygrad.training.gradients import gradients
from eddygrad.training.objectives import Divergence, KineticEnergy, Unrolled
from eddygrad.training.weighting import Fixed, InverseDirichlet

BOX = Grid((12, 10), (3.0, 2.0))
SOLVER = presets.kolmogorov(100.0, 20, substeps=1)
TERMS = {"divergence": Divergence(SOLVER.grid), "energy": KineticEnergy(SOLVER.grid)}
SEEDS = (0, 3)
ROUND_OFF = 1e-12  # sums of some hundred float64 products in another order


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def frames(samples: int = 2, count: int = 4) -> Tensor:
    u = leray(noise(samples, 2, 20, 20), SOLVER.grid)
    return trajectory(SOLVER.at({}, u), u, count, warmup=5)


def corrected(seeds: int | tuple[int, ...] = 0) -> Corrected:
    return correct(SOLVER, ResNet(3, 1, 2, 2, 2, **seed_options(seeds)).double(), scale=0.1)


def flat(parts: Any) -> Tensor:
    return torch.cat([part.detach().reshape(-1) for part in parts])


def test_divergence_is_zero_on_projected_fields_and_the_formula_on_a_mode() -> None:
    term = Divergence(BOX)
    u = noise(2, 3, 2, *BOX.shape)
    assert term(u, u).shape == (2, 3) and term(u, u).min() > 1
    assert term(leray(u, BOX), u).max() < 1e-24 * term(u, u).max()  # the square of round-off
    # u = (a cos phi, b cos phi), phi = k . x, div u = -(a k_x + b k_y) sin phi, whose mean square is half of its amplitude's.
    k_x, k_y = 2 * math.pi * 2 / 3.0, 2 * math.pi * 3 / 2.0
    x, y = BOX.points()
    phase = k_x * x + k_y * y
    wave = torch.stack([0.7 * torch.cos(phase), -0.4 * torch.cos(phase)])
    assert float(term(wave, wave)) == pytest.approx((0.7 * k_x - 0.4 * k_y) ** 2 / 2, rel=1e-12)


def test_divergence_is_the_sum_over_modes_by_parseval() -> None:
    grid = Grid((9, 7), (3.0, 2.0))  # odd: no mode without a derivative
    u = noise(2, *grid.shape)
    u_hat = torch.fft.fft2(u) / 63
    k_x, k_y = (2 * math.pi * torch.fft.fftfreq(n, length / n, dtype=torch.float64) for n, length in zip(grid.shape, grid.lengths))
    expected = (k_x[:, None] * u_hat[0] + k_y * u_hat[1]).abs().square().sum()
    assert float(Divergence(grid)(u, u)) == pytest.approx(float(expected), rel=1e-12)


def test_energy_knows_the_amplitudes_and_not_the_phases() -> None:
    term, u = KineticEnergy(BOX), noise(3, 2, *BOX.shape)
    for same in (u.roll((3, 4), (-2, -1)), -u, u.flip(-3), u.flip(-1)):
        assert term(same, u).max() < ROUND_OFF**2 * 10
    spectrum = torch.fft.rfft2(u)
    turned = spectrum[..., 1:-1] * torch.exp(1j * noise(*spectrum[..., 1:-1].shape, seed=1))  # those that stand for both signs of k
    other = torch.fft.irfft2(torch.cat([spectrum[..., :1], turned, spectrum[..., -1:]], -1), s=BOX.shape)
    assert (other - u).abs().max() > 0.1 and term(other, u).max() < ROUND_OFF**2 * 10
    for factor in (0.5, 1.1):  # of the velocity: the energy's is its square
        assert torch.allclose(term(factor * u, u), torch.full((3,), (factor**2 - 1) ** 2, dtype=torch.float64), rtol=1e-12)
    assert torch.allclose(term(3 * u, 2 * u), term(1.5 * u, u), rtol=1e-12)  # no units


@pytest.mark.parametrize("term", [Divergence(BOX), KineticEnergy(BOX)], ids=["divergence", "energy"])
def test_gradients_of_the_terms_agree_with_finite_differences(term: Any) -> None:
    u = noise(2, 2, *BOX.shape).requires_grad_()
    known = noise(2, 2, *BOX.shape, seed=1)
    assert torch.autograd.gradcheck(lambda v: term(v, known), u)


def test_other_channels_may_be_the_velocity() -> None:
    u, pressure = noise(4, 2, *BOX.shape), noise(4, 1, *BOX.shape, seed=1)
    known, state = 2 * u.flip(0), torch.cat([pressure, u], 1)
    for plain, chosen in ((Divergence(BOX), Divergence(BOX, (1, 2))), (KineticEnergy(BOX), KineticEnergy(BOX, (1, 2)))):
        assert torch.equal(plain(u, known), chosen(state, torch.cat([pressure, known], 1)))
        assert torch.equal(plain(u, known), plain(torch.cat([u, pressure], 1), torch.cat([known, pressure], 1)))
        with pytest.raises(ValueError, match=r"expected frames \(..., C > 1, 12, 10\), got \(4, 1, 12, 10\)"):
            plain(pressure, known)
        with pytest.raises(ValueError, match=r"got \(4, 2, 10, 12\); pass the grid of the frames"):
            plain(u.mT, known)
    with pytest.raises(ValueError, match=r"Divergence: expected 2 channels, .* got \(0,\); name one for each axis"):
        Divergence(BOX, (0,))


@pytest.mark.parametrize("unroll", ["one", "nog:3", "wig:3", "push:3/1"])
def test_further_losses_are_those_of_a_loop_by_hand_and_leave_the_data_loss_as_it_is(unroll: str) -> None:
    stepper = corrected()
    objective = Unrolled(stepper, unroll, TERMS)
    u = frames(count=objective.unrolling.horizon + 1)
    w = Window(u, {})
    losses, alone = objective(w), Unrolled(stepper, unroll)(w)
    assert list(losses) == ["data", "divergence", "energy"] and list(alone) == ["data"] and torch.equal(losses["data"], alone["data"])
    step, v, expected = stepper.at({}, u[:, 0]), u[:, 0], {"divergence": [], "energy": []}  # type: ignore[var-annotated]
    for k in range(u.shape[1] - 1):
        v = step(v.detach() if objective.unrolling.cut(k) else v, k)
        if k >= objective.unrolling.warmup:
            d_x, d_y = (torch.fft.fftfreq(20, 1 / 20, dtype=torch.float64).masked_fill(torch.arange(20) == 10, 0).view(s) for s in ((-1, 1), (1, -1)))
            spectrum = torch.fft.fft2(v)
            div = torch.fft.ifft2(1j * (d_x * spectrum[:, 0] + d_y * spectrum[:, 1])).real  # a box of 2 pi: wavenumbers are integers
            expected["divergence"].append(div.square().mean())
            energy, known = ((f**2).sum(1).mean((1, 2)) / 2 for f in (v, u[:, k + 1]))
            expected["energy"].append(((energy - known) ** 2 / known**2).mean())
    for name, values in expected.items():
        mean = sum(values) / len(values)
        assert losses[name].item() == pytest.approx(mean.item(), rel=ROUND_OFF)
        got, by_hand = (flat(torch.autograd.grad(loss, list(stepper.parameters()), retain_graph=True)) for loss in (losses[name], mean))
        assert (got - by_hand).norm() < 1e-10 * by_hand.norm()


@pytest.mark.parametrize("shared", [True, False])
def test_a_stack_has_the_losses_of_its_entries(shared: bool) -> None:
    stack, u = corrected(SEEDS), torch.stack([frames(), frames().flip(1)])
    losses = Unrolled(stack, "wig:3", TERMS)(Window(u[0], {}) if shared else Window(u, {}, 2))
    grads = gradients(losses, list(stack.parameters()))
    for s in range(len(SEEDS)):
        one = stack.with_network(stack.network.entry(s))  # type: ignore[operator]
        own = Unrolled(one, "wig:3", TERMS)(Window(u[0 if shared else s], {}))
        for name, parts in gradients(own, list(one.parameters())).items():
            assert losses[name][s].item() == pytest.approx(own[name].item(), rel=ROUND_OFF)
            expected = flat(parts)
            assert (flat([g[s] for g in grads[name] if g is not None]) - expected).norm() < 1e-10 * expected.norm()


def test_inverse_dirichlet_gives_their_gradients_equal_spreads() -> None:
    stack = corrected(SEEDS)
    losses = Unrolled(stack, "wig:3", TERMS)(Window(frames(), {}))
    grads = gradients(losses, list(stack.parameters()))
    weights = InverseDirichlet("data", average=1.0)(losses, grads)
    stds = {name: torch.cat([g.reshape(2, -1) for g in parts if g is not None], 1).std(1) for name, parts in grads.items()}
    assert (weights["data"] == 1).all()
    for name in TERMS:
        assert (stds[name] / stds["data"] - 1).abs().max() > 0.1  # not before
        assert torch.allclose(weights[name] * stds[name], stds["data"], rtol=ROUND_OFF)


def test_terms_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="'data' is the squared error to the reference, got a further term of that name"):
        Unrolled(corrected(), "one", {"data": Divergence(SOLVER.grid)})
    for mixed in (lambda u, v: u.mean(), lambda u, v: u.mean(0)[:1]):
        with pytest.raises(ValueError, match=r"the term 'mine' gives values of shape \(.*\), expected \(2, ...\)"):
            Unrolled(corrected(SEEDS), "wig:3", {"mine": mixed})(Window(frames(), {}))
    with pytest.raises(ValueError, match=r"weighting: expected one of uniform, .*, got 'inverse'"):
        _ = TrainingRecipe(weighting="inverse").loss_weighting
    assert repr(TrainingRecipe(weighting="inverse-dirichlet:every=1,average=0.2").loss_weighting) == repr(
        InverseDirichlet("data", every=1, average=0.2)
    )


def plan(folder: Path, **options: Any) -> dict[str, Any]:
    more = {"unroll": "wig:2", "steps": 6, "batch": 1, "seeds": SEEDS, "validation_horizon": 3, "progress": False}
    return {"folder": folder, "terms": TERMS, **more, **options}


def test_a_balanced_training_logs_its_terms_goes_on_and_keeps_to_its_losses(tmp_path: Path) -> None:
    u = frames(4, 12).float()
    split = Dataset.from_tensor(u, {}, SOLVER.grid, dt=SOLVER.dt).split(val=0.25, test=0.25)
    stepper = correct(SOLVER, ResNet(3, 1))
    whole = fit_stepper(stepper, split, weighting="inverse-dirichlet", **plan(tmp_path / "whole"))
    terms = json.loads((tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()[-1])["terms"]
    assert list(terms) == ["data", "divergence", "energy"] and terms["data"]["weight"] == [1, 1] and terms["energy"]["weight"] != [1, 1]
    told = whole.as_json()["training"]
    assert told["weighting"].startswith("InverseDirichlet(reference='data'") and list(told["terms"]) == ["divergence", "energy"]
    again = fit_stepper(stepper, split, weighting="inverse-dirichlet", **plan(tmp_path / "whole"))
    assert torch.equal(flat(again.stepper.parameters()), flat(whole.stepper.parameters()))
    for other, said in (({"weighting": "uniform"}, "weighting InverseDirichlet"), ({"terms": {"energy": TERMS["energy"]}}, "terms")):
        with pytest.raises(ValueError, match=f"holds a run of another configuration: {said}"):
            fit_stepper(stepper, split, **{**plan(tmp_path / "whole"), "weighting": "inverse-dirichlet", **other})
    # A constant weight of each is a loss of their sum, not the equal one.
    fixed = fit_stepper(stepper, split, weighting=Fixed({"data": 1.0, "divergence": 1e-3, "energy": 2.0}), **plan(tmp_path / "fixed"))
    equal = fit_stepper(stepper, split, **plan(tmp_path / "equal"))
    assert not torch.equal(flat(fixed.stepper.parameters()), flat(equal.stepper.parameters()))
    assert "weighting" not in equal.as_json()["training"]


def test_a_training_without_terms_is_described_as_before() -> None:
    assert TrainingRecipe().loss_description == {} and "terms" not in repr(TrainingRecipe()) and "weighting" not in repr(TrainingRecipe())
    first, second = (TrainingRecipe(terms={"mine": lambda u, v, power=power: (u - v).abs() ** power}).loss_description for power in (1, 3))
    assert first["terms"]["mine"].startswith("<lambda> ") and first != second and first == TrainingRecipe(terms={"mine": _mine(1)}).loss_description


def _mine(power: int) -> Any:
    return [lambda u, v, power=power: (u - v).abs() ** power][0]
