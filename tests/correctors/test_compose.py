"""The compose table: each row against its formula, written out."""

import math

import pytest
import torch
from torch import nn

from eddygrad.correctors.compose import Corrected, correct, predict, transition
from eddygrad.correctors.features import Features, domain_size
from eddygrad.solver.equations.kuramoto_sivashinsky import KuramotoSivashinsky
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.wrap import wrap

GRID = Grid((16,), 16.0)
LENGTH = torch.tensor([14.0, 15.0, 17.0], dtype=torch.float64).reshape(-1, 1, 1)
PARAMS = {"length": LENGTH}
# A sum of two or three float64 products against the same in another order.
TOLERANCE = {"rtol": 1e-14, "atol": 1e-14}


class Known(nn.Module):
    """f(x) = a sin(x_0) + x_last^2: a network whose formula is known; it hears both the state and the last channel."""

    def __init__(self, outputs=1):
        super().__init__()
        self.a, self.outputs = nn.Parameter(torch.tensor(0.7, dtype=torch.float64)), outputs

    def forward(self, x):
        y = self.a * x[..., :1, :].sin() + x[..., -1:, :].square()
        return torch.cat([(c + 1) * y for c in range(self.outputs)], -2)


def f(u, features=True):
    shown = LENGTH.expand(3, 1, 16) / (16 * math.pi) if features else u
    return 0.7 * u.sin() + shown.square()


def reference(dt=1.0, substeps=2, order=2):
    return ETDRK(KuramotoSivashinsky(), GRID, dt=dt, order=order, substeps=substeps)


@pytest.fixture
def u():
    return torch.randn(3, 1, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("fraction", [0.0, 0.5, 1.0])
def test_transition_row(u, fraction):
    stepper = transition(reference(), Known(), fraction, features=domain_size())
    base = u if fraction == 0 else reference(dt=fraction).at(PARAMS, u)(u)
    expected = base + (1 - fraction) * f(base)
    torch.testing.assert_close(stepper.at(PARAMS, u)(u), expected, **TOLERANCE)
    assert stepper.dt == 1.0
    if fraction == 1:
        torch.testing.assert_close(expected, reference().at(PARAMS, u)(u), **TOLERANCE)


ROWS = {
    "parallel": (lambda s: correct(s, Known(), "parallel", features=domain_size()), lambda u, s: s + 0.5 * f(u)),
    "sequential": (lambda s: correct(s, Known(), features=domain_size()), lambda u, s: s + f(s)),
    "no-bypass": (lambda s: correct(s, Known(), "no-bypass", features=domain_size()), lambda u, s: f(s)),
    "scaled": (lambda s: correct(s, Known(), "sequential", scale=-0.3, features=domain_size()), lambda u, s: s - 0.3 * f(s)),
    "prediction": (lambda s: predict(Known(), 1.0, features=domain_size()), lambda u, s: f(u)),
    "residual prediction": (lambda s: predict(Known(), 1.0, residual=True, features=domain_size()), lambda u, s: u + f(u)),
    "without features": (lambda s: correct(s, Known(), "parallel"), lambda u, s: s + 0.5 * f(u, features=False)),
}


@pytest.mark.parametrize("row", ROWS)
def test_row_of_the_table(u, row):
    coarse = reference(order=1)
    make, formula = ROWS[row]
    stepper = make(coarse)
    torch.testing.assert_close(stepper.at(PARAMS, u)(u), formula(u, coarse.at(PARAMS, u)(u)), **TOLERANCE)
    assert stepper.dt == 1.0 and list(stepper.state_dict()) == ["network.a"]


def test_parallel_takes_the_whole_step_where_a_solver_names_no_substep(u):
    stepper = correct(wrap(lambda u: 2 * u, dt=0.25), Known(), "parallel")
    torch.testing.assert_close(stepper.at({}, u)(u), 2 * u + 0.25 * f(u, features=False), **TOLERANCE)


@pytest.mark.parametrize("base", ["none", "state", "solver"])
def test_only_the_named_channels_are_written(base):
    u = torch.randn(3, 4, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    solve = wrap(lambda u: 3 * u, dt=1.0, differentiable=True)
    stepper = Corrected(Known(2), solve, base=base, sees="state", scale=0.5, dt=1.0, channels=(3, 1))
    y = 0.7 * u[:, :1].sin() + u[:, 3:].square()
    expected = {"none": torch.zeros_like(u), "state": u, "solver": 3 * u}[base].clone()
    expected[:, 3:4] += 0.5 * y
    expected[:, 1:2] += 0.5 * 2 * y
    torch.testing.assert_close(stepper.at({}, u)(u), expected, **TOLERANCE)


def test_the_solver_may_be_cut_where_another_path_is_left(u):
    for base, sees in (("solver", "state"), ("none", "state"), ("state", "state"), ("state", "solver")):
        stepper = Corrected(Known(), reference(), base=base, sees=sees, scale=0.5, dt=1.0, cut="solver")
        start = u.clone().requires_grad_()
        assert torch.autograd.grad(stepper.at(PARAMS, u)(start).sum(), start)[0].abs().max() > 0


def test_features_show_the_domain_size_and_standardise_the_state(u):
    shown = domain_size()(u, {"length": 2 * math.pi * 8 * torch.tensor([0.9, 1.0, 1.4]).double().reshape(3, 1, 1)}, 1)
    assert shown.shape == (3, 2, 16) and torch.equal(shown[:, :1], u)
    torch.testing.assert_close(shown[:, 1], torch.tensor([[0.9], [1.0], [1.4]]).double().expand(3, 16), **TOLERANCE)
    v = torch.cat([u, 2 * u], 1)
    shown = Features({"nu": 10.0, "mu": 1.0}, mean=(1.0, -1.0), std=(2.0, 4.0))(v, {"nu": 0.1, "mu": torch.tensor(3.0)}, 1)
    expected = torch.cat([(u - 1) / 2, (2 * u + 1) / 4, torch.ones_like(u), 3 * torch.ones_like(u)], 1)
    torch.testing.assert_close(shown, expected, **TOLERANCE)


def test_features_of_stacked_seeds_are_those_of_each(u):
    stacked = torch.stack([u, 2 * u])
    shared = domain_size()(stacked, PARAMS, 1)
    own = domain_size()(stacked, {"length": torch.stack([LENGTH, 2 * LENGTH])}, 1)
    for s in range(2):
        assert torch.equal(shared[s], domain_size()(stacked[s], PARAMS, 1))
        assert torch.equal(own[s], domain_size()(stacked[s], {"length": (s + 1) * LENGTH}, 1))


def test_errors_name_what_is_missing(u):
    with pytest.raises(ValueError, match="Features needs 'length', got"):
        predict(Known(), 1.0, features=domain_size()).at({"nu": 1.0}, u)(u)
    for call, text in (
        (lambda: correct(lambda u: u, Known()), "turn a function into one by wrap"),
        (lambda: correct(reference(), Known(), "besides"), "mode must be one of"),
        (lambda: transition(reference(), Known(), 1.5), "within 0 and 1"),
        (lambda: Corrected(Known(), None, base="solver", sees="state", scale=1, dt=1), "there is no solver"),
        (lambda: Corrected(Known(), None, base="half", sees="state", scale=1, dt=1), "base none|state|solver"),
        (lambda: predict(Known(), 0.0), "dt must be positive"),
        (lambda: correct(reference(), Known(), "sequential", cut="solver"), "train with 'nog:M'"),
        (lambda: correct(reference(), Known(), "no-bypass", cut="solver"), "train with 'nog:M'"),
    ):
        with pytest.raises(ValueError, match=text.replace("|", r"\|")) as caught:
            call()
        assert "\n" not in str(caught.value)
