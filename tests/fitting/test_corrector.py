"""Training in one call: what identifies the run of a folder, which windows a network sees, what fit does with sizes and seeds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from cases.fitting_cases import OPTIONS, data, line, network, refusal

from eddygrad import presets
from eddygrad.correctors.compose import Corrected, correct, predict
from eddygrad.correctors.encoder_decoder import EncoderDecoder
from eddygrad.correctors.features import Features, domain_size
from eddygrad.correctors.network_stack import stack
from eddygrad.correctors.resnet import ResNet
from eddygrad.correctors.seeded_network import seed_options
from eddygrad.datasets.dataset import Dataset
from eddygrad.fitting.corrector import fit_stepper
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.linear_solvers import Krylov
from eddygrad.solver.schemes.projection import Projection
from eddygrad.solver.wrap import wrap
from eddygrad.training.refinement import Refinement


def test_a_folder_is_bound_to_the_content_of_its_data(tmp_path: Path) -> None:
    fit_stepper(predict(network(0), 1.0), data(), folder=tmp_path, **OPTIONS)
    with pytest.raises(ValueError, match="another configuration"):
        fit_stepper(predict(network(0), 1.0), data(2.0), folder=tmp_path, **OPTIONS)


def test_a_single_network_sees_the_windows_of_its_own_seed() -> None:
    stack, single = (fit_stepper(predict(network(seeds), 1.0), data(), **OPTIONS).stepper.network for seeds in ((3, 7), 7))
    for whole, one in zip(stack.parameters(), single.parameters()):
        assert (whole[1] - one[0]).abs().max() < 1e-13  # a product over two seeds adds in another order
    assert (whole[0] - one[0]).abs().max() > 1e-3


def test_training_takes_its_threads_and_gives_them_back(monkeypatch: pytest.MonkeyPatch) -> None:
    own, seen = torch.get_num_threads(), []

    def at(u: torch.Tensor) -> torch.Tensor:
        seen.append(torch.get_num_threads())
        return 0.5 * u

    try:
        torch.set_num_threads(2)
        for options, threads in (({}, 1), ({"threads": 3}, 3), ({"threads": None}, 2)):
            seen.clear()
            trained = fit_stepper(correct(wrap(at, dt=1.0), network(0)), data(), **OPTIONS, **options)  # type: ignore[arg-type]
            assert set(seen) == {threads} and torch.get_num_threads() == 2
            assert trained.as_json()["training"]["threads"] == threads
        assert "threads must be at least 1, got 0" in refusal(lambda: fit_stepper(predict(network(0), 1.0), data(), threads=0, **OPTIONS))
        with pytest.raises(FloatingPointError):  # also given back after an error
            fit_stepper(correct(wrap(lambda u: u * float("nan"), dt=1.0), network((0, 1))), data(), **OPTIONS)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(own)


def test_a_refined_training_goes_on_in_its_folder(tmp_path: Path) -> None:
    """Also where the user's own stepper, whose solver is refined in place, is given again."""
    grid = Grid((16, 16), 1.0)
    u = torch.randn(4, 8, 2, 16, 16, generator=torch.Generator().manual_seed(0)) * 0.01
    split = Dataset.from_tensor(u, {}, grid, dt=0.1).split(val=0.5, test=0.0)
    stepper = correct(Projection(NavierStokesVelocity(1e-3), grid, 0.1, pressure=Krylov("cg", iterations=90)), EncoderDecoder("32k", cin=2))
    plan: dict[str, Any] = {"refinement": Refinement(iterations=2, step=3, window=2, threshold=0.1), "folder": tmp_path}
    options: dict[str, Any] = {**OPTIONS, "unroll": "nog:1", "validate_every": 1}
    first = fit_stepper(stepper, split, **plan, **options)
    curve = first.as_json()["curve"]["iterations"]
    assert curve[0] == 2 and curve[-1] > 2 and first.as_json()["training"]["refinement"].startswith("Refinement(iterations=2")
    assert fit_stepper(stepper, split, **plan, **options).as_json()["curve"]["iterations"] == curve
    with pytest.raises(ValueError, match="split the data with val > 0"):
        fit_stepper(stepper, split.train.split(val=0.0, test=0.0), refinement=Refinement(), **OPTIONS)


@pytest.mark.parametrize("make", [network, lambda seeds: stack(lambda: torch.nn.Conv1d(1, 1, 3, padding=1), **seed_options(seeds)).double()])
def test_seeds_do_not_throw_learned_weights_away(make: Callable[[object], torch.nn.Module]) -> None:
    for seeds in (3, (3, 7)):
        stepper = predict(make(seeds), 1.0)
        assert fit_stepper(stepper, data(), seeds=2, **OPTIONS).stepper.seeds == (0, 1)
        trained = fit_stepper(stepper, data(), **OPTIONS).stepper
        told = refusal(lambda trained=trained: fit_stepper(trained, data(), seeds=2, **OPTIONS))
        assert "pass seeds=None to go on from these weights" in told and "seeds=[0, 1] draws new networks" in told
        before = [p.detach().clone() for p in trained.parameters()]
        onward = fit_stepper(trained, data(), **OPTIONS).stepper
        assert onward is trained and not torch.equal(next(onward.parameters()), before[0])


def test_a_network_takes_the_sizes_that_were_left_out_from_the_data() -> None:
    u = torch.randn(5, 9, 3, 6, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    plane = Dataset.from_tensor(u, {"nu": 0.1})
    solver = wrap(lambda u: 0.5 * u, dt=1.0)
    for options, sizes in (({}, (4, 3, 2)), ({"channels": (2, 0)}, (4, 2, 2))):
        stepper = correct(solver, ResNet(3, 1).double(), features=Features({"nu": 1.0}), **options)  # type: ignore[arg-type]
        trained = fit_stepper(stepper, plane, seeds=(5, 6), **OPTIONS).stepper
        whole = ResNet(3, 1, *sizes, seeds=(5, 6)).double()
        assert repr(trained.network) == repr(whole) and (trained.network.cin, trained.network.cout, trained.network.ndim) == sizes
        assert [p.shape for p in trained.parameters()] == [p.shape for p in whole.parameters()]
    fresh = ResNet(3, 1, seeds=(5, 6)).double()
    sized, explicit = fresh.sized(4, 3, 2), ResNet(3, 1, 4, 3, 2, seeds=(5, 6)).double()
    assert all(torch.equal(a, b) for a, b in zip(sized.parameters(), explicit.parameters()))
    assert fresh.sized(2, 1, 1) is fresh and sized.sized(9, 9, 3) is sized
    assert ResNet(3, 1, cin=1).sized(4, 3, 2).with_seeds(9).cin == 1 and fresh.with_seeds(2).sized(4, 3, 2).cout == 3
    assert ResNet(26, 8).parameter_count() == 33_125
    told = refusal(lambda: ResNet(3, 1)(torch.zeros(2, 1, 8)))
    assert "got (2, 1, 8)" in told and "ResNet(3, 1, cin=, cout=, ndim=)" in told


def test_what_fit_sizes_is_what_an_explicit_network_becomes() -> None:
    def train(made: ResNet) -> Corrected:
        return fit_stepper(
            correct(presets.kuramoto_sivashinsky(order=1), made, "parallel", features=domain_size()), known, seeds=2, **OPTIONS
        ).stepper

    known = Dataset.from_tensor(line().all(), {"length": 50.0}, Grid((48,), 6.0))
    implied, explicit = train(ResNet(3, 1)), train(ResNet(3, 1, 2, 1, 1))
    assert repr(implied) == repr(explicit) and all(torch.equal(a, b) for a, b in zip(implied.parameters(), explicit.parameters()))
