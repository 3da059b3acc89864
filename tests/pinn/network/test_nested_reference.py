"""Losses and gradients agree with the nested autograd of benchmarks/, and the benchmarks time the same work."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

import eddygrad as eg
from eddygrad.pinn.collocation import Collocation, Term
from eddygrad.pinn.network.coordinate_network import CoordinateNetwork
from eddygrad.pinn.network.taylor import Truncation
from eddygrad.pinn.partials import VORTICITY, Names
from eddygrad.pinn.points import Points
from eddygrad.pinn.problems.poisson import poisson
from eddygrad.solver.equations.active_turbulence import ActiveTurbulenceVorticity

BENCHMARKS = Path(eg.__file__).parent.parent / "benchmarks"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", BENCHMARKS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


nested, products, given = load("nested_autograd"), load("matrix_products"), load("pinn_workload")


def moved(network: CoordinateNetwork) -> CoordinateNetwork:
    """Biases that are not zero, so that one in the wrong place is seen."""
    with torch.no_grad():
        for k, bias in enumerate(network.biases):
            bias.normal_(std=0.3, generator=torch.Generator().manual_seed(k))
    return network


def assert_alike(ours: Mapping[str, Tensor], network: CoordinateNetwork, reference: Mapping[str, Tensor], plain: torch.nn.Module) -> None:
    """To 1e-10 of the greatest entry, for every loss and the gradient of each by every tensor of weights."""
    assert set(ours) == set(reference)
    for name, loss in ours.items():
        torch.testing.assert_close(loss, reference[name], rtol=1e-10, atol=0)
        # A residual of derivatives alone does not see the last bias: there is no gradient, or one of zeros.
        expected = torch.autograd.grad(reference[name], list(plain.parameters()), retain_graph=True, materialize_grads=True)
        pairs = [p for pair in zip(network.weights, network.biases) for p in pair]
        got = torch.autograd.grad(loss, pairs, retain_graph=True, materialize_grads=True)
        for slope, known in zip(got, expected):
            known = known.T if known.ndim == 2 else known[None]
            torch.testing.assert_close(slope[0], known, rtol=0, atol=1e-10 * float(known.abs().max()))


def test_poisson_losses_and_gradients() -> None:
    case = poisson(6, 0, torch.float64, interior=300)
    network, sets = moved(case.problem.network), case.batches.sets
    plain = nested.PlainNetwork.like(network)
    inside, outside = sets["interior"], sets["boundary"]
    reference = nested.poisson_losses(plain, inside.x, inside.known["f"], outside.x, outside.known["u"])
    assert_alike(case.problem.losses(case.batches(0)), network, reference, plain)


def turbulence(width: int, depth: int, count: int) -> tuple[Collocation, Tensor]:
    """Coordinates of different spreads, so that a derivative by the wrong one is seen."""
    network = moved(CoordinateNetwork(3, width, depth, 2, "sine", mean=(2.4, 2.3, 4.4), std=(0.5, 0.4, 0.2)).double())
    equation = ActiveTurbulenceVorticity()
    terms = {"vorticity": Term("interior", lambda d, p: equation.residual(d), equation.needs)}
    x = torch.rand(count, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + torch.tensor([1.9, 1.8, 3.9])
    return Collocation(network, Names(("x", "y", "t"), ("u", "v"), VORTICITY), terms), x


@pytest.mark.parametrize(("width", "depth", "count"), [(12, 2, 40), (100, 7, 6)])
def test_turbulence_residual_and_gradients(width: int, depth: int, count: int) -> None:
    problem, x = turbulence(width, depth, count)
    plain = nested.PlainNetwork.like(problem.network)
    loss = nested.turbulence_residual(plain, x).square().mean()
    assert_alike(problem.losses((0, {"interior": Points(x)})), problem.network, {"vorticity": loss}, plain)


def test_the_reference_has_the_coefficients_of_the_equation() -> None:
    equation = ActiveTurbulenceVorticity()
    found = [getattr(equation, name) for name in ("lambda_0", "alpha", "beta", "Gamma_0", "Gamma_2")]
    assert found == [nested.LAMBDA_0, nested.ALPHA, nested.BETA, nested.GAMMA_0, nested.GAMMA_2]


def test_the_peers_have_the_same_points_and_values() -> None:
    case = poisson(given.WAVENUMBER, 0, torch.float64)
    inside, outside = case.batches.sets["interior"], case.batches.sets["boundary"]
    assert torch.allclose(outside.x, torch.as_tensor(given.boundary_points()), rtol=0, atol=1e-15)
    assert torch.allclose(outside.known["u"], torch.as_tensor(given.exact(outside.x.numpy())), rtol=0, atol=1e-14)
    assert torch.allclose(inside.known["f"], torch.as_tensor(given.source(inside.x.numpy())), rtol=1e-13, atol=0)
    drawn = torch.as_tensor(given.interior_points())
    assert drawn.shape == inside.x.shape and len(drawn.unique(dim=0)) == len(drawn) and drawn.min() > 0 and drawn.max() < 1
    assert given.parameters(given.POISSON_LAYERS) == case.problem.network.parameter_count() == 10_401
    weights = given.first_weights(given.POISSON_LAYERS, 5 / 3)
    assert [tuple(p.shape[1:]) for p in case.problem.network.weights] == [w.shape for w in weights]
    assert weights[2].std() == pytest.approx(5 / 3 * math.sqrt(2 / 100), rel=0.05)


def test_counted_operations_equal_the_closed_form() -> None:
    """Counted from the matrix products of a gradient. Poisson has four coefficients, of which one is wanted."""
    case = poisson(6, 0, interior=250)
    parameters = list(case.problem.parameters())

    def gradient() -> None:
        torch.autograd.grad(sum(case.problem.losses(case.batches(0)).values()), parameters)

    layers = given.POISSON_LAYERS
    assert products.products_of(gradient).flops == given.taylor_flops(layers, 250, 4, 3, 1) + given.taylor_flops(layers, 400, 1, 1, 1)
    problem, x = turbulence(10, 3, 50)
    found = products.products_of(lambda: torch.autograd.grad(problem.losses((0, {"interior": Points(x)}))["vorticity"], list(problem.parameters())))
    wanted = [(4, 0, 0), (2, 2, 0), (0, 4, 0), (1, 0, 1), (0, 1, 1), ((-1.0, (4, 1, 0)), (-2.0, (2, 3, 0)), (-1.0, (0, 5, 0)))]
    wanted += [(3, 1, 0), (1, 3, 0), ((1.0, (5, 0, 0)), (2.0, (3, 2, 0)), (1.0, (1, 4, 0)))]
    needs = problem.terms["vorticity"].needs
    asked = {index for need in needs if "lap" not in need for _, _, index in problem.names.terms(need)}  # the Laplacians of w: two combinations ...
    leaving = len(asked | {(2, 1, 0), (0, 3, 0), (3, 0, 0), (1, 2, 0)}) + 2  # ... and four partials, which lie below these
    assert found.flops == given.taylor_flops((3, 10, 10, 10, 2), 50, len(Truncation.below(wanted).indices), 4, leaving)


def test_counts_agree_with_torch_and_replays_make_the_same_products() -> None:
    weights = [torch.randn(5, 7, requires_grad=True), torch.randn(2, 7, 3, requires_grad=True)]

    def gradient() -> None:
        out = torch.bmm(torch.addmm(torch.ones(7), torch.ones(4, 5), weights[0]).tanh().expand(2, -1, -1), weights[1])
        torch.autograd.grad(out.square().sum(), weights)

    found = products.products_of(gradient)
    with FlopCounterMode(display=False) as counter:
        gradient()
    assert found.flops == counter.get_total_flops() > 0
    assert products.products_of(products.replay(found)).made == found.made


def test_the_classical_solver_converges_with_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    classical = load("poisson_classical")
    for order, level in ((2, 0.2), (4, 0.1)):
        errors = []
        for nodes in (65, 129):
            solve, exact = classical.solver(nodes, order)
            errors.append(abs(solve() - exact).max())
        assert abs(math.log2(errors[0] / errors[1]) - order) < level


def test_the_residual_between_points_differs_from_the_residual_at_points(tmp_path: Path) -> None:
    problem = "poisson:k=2,interior=30,width=6,depth=1"
    eg.pinn.compare(tmp_path, problem=problem, weighting="uniform", seeds=2, steps=4, validate_every=1).run(progress=False)
    (run,) = (tmp_path / "runs").glob("*.json")
    found = load("poisson_overfitting").compare_residuals(run)
    assert found is not None and len(found["others"]) == 2 and found["kept"] != found["others"]
    assert found["error"] == pytest.approx(json.loads(run.read_text())["errors"]["error"], rel=0.01)
    case = poisson(k=2, seeds=(1, 2), interior=30, width=6, depth=1)
    case.problem.load_state_dict(load_file(tmp_path / "work" / run.stem / "weights.safetensors"))
    assert found["kept"] == pytest.approx(case.problem.losses(case.batches(0))["pde"].tolist(), rel=0.01)
