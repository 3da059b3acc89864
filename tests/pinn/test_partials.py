"""Partials by name, the partials that a residual reads, and residuals of equations."""

from __future__ import annotations

import pytest
import torch

from eddygrad.pinn.network.coordinate_network import CoordinateNetwork
from eddygrad.pinn.network.taylor import Truncation
from eddygrad.pinn.partials import VORTICITY, Names, needed, partials
from eddygrad.solver.equations.active_turbulence import ActiveTurbulenceVorticity

PLANE = Names(("x", "y", "t"), ("u", "v"), VORTICITY)


def network(outputs: int = 2, inputs: int = 3) -> CoordinateNetwork:
    return CoordinateNetwork(inputs, 9, 2, outputs, "sine").double()


def points(inputs: int = 3) -> torch.Tensor:
    return torch.rand(6, inputs, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_a_name_is_an_output_and_its_derivatives() -> None:
    assert PLANE.terms("v_xxt") == [(1.0, "v", (2, 0, 1))] and PLANE.terms("u") == [(1.0, "u", (0, 0, 0))]
    assert PLANE.terms("w_yy") == [(1.0, "v", (1, 2, 0)), (-1.0, "u", (0, 3, 0))]
    net, x = network(), points()
    d = partials(net, x, PLANE, ["u", "v_xxt", "w_yy"])
    direct = net.partials(x, [(2, 0, 1), (1, 2, 0), (0, 3, 0)])
    assert torch.equal(d.v_xxt, direct[2, 0, 1][:, 1]) and torch.equal(d.x, x[:, 0])
    assert torch.equal(d["w_yy"], direct[1, 2, 0][:, 1] - direct[0, 3, 0][:, 0])


def test_the_partials_that_a_residual_reads_are_found() -> None:
    assert needed(lambda d: d.u_xx + d.u_yy - torch.sin(d.x) * d["v"], PLANE) == ("u_xx", "u_yy", "v")
    with pytest.raises(ValueError, match=r"one of u, v, w or a derivative by x, y, t, .*got 'q_x'"):
        needed(lambda d: d.q_x, PLANE)


def test_the_residual_of_an_equation_at_a_network() -> None:
    """The vorticity form, compared with the same sum of partials of the network."""
    equation, net, x = ActiveTurbulenceVorticity(), network(), points()
    d = partials(net, x, PLANE, equation.needs)
    p = net.partials(x, [(0, 0, 0), (1, 0, 0), (0, 1, 0), (2, 0, 0), (1, 1, 0), (0, 2, 0), (1, 0, 1), (0, 1, 1)])
    u, v = p[0, 0, 0].unbind(-1)
    w = p[1, 0, 0][:, 1] - p[0, 1, 0][:, 0]
    w_x, w_y = p[2, 0, 0][:, 1] - p[1, 1, 0][:, 0], p[1, 1, 0][:, 1] - p[0, 2, 0][:, 0]
    m_x, m_y = (2 * (u * p[i][:, 0] + v * p[i][:, 1]) for i in ((1, 0, 0), (0, 1, 0)))
    without = d["w_t"] + 3.5 * (u * w_x + v * w_y) - w + 0.5 * ((u**2 + v**2) * w + v * m_x - u * m_y)
    apart = partials(net, x, PLANE, ["w_xx", "w_yy", "w_xxxx", "w_xxyy", "w_yyyy"])
    lap, bi = apart.w_xx + apart.w_yy, apart.w_xxxx + 2 * apart.w_xxyy + apart.w_yyyy
    torch.testing.assert_close(equation.residual(d), without + 0.045 * lap + 0.045**3 * bi)
    torch.testing.assert_close(d.w_t, p[1, 0, 1][:, 1] - p[0, 1, 1][:, 0])


@pytest.mark.parametrize("needs", [("u_lap",), ("w_lap", "u_lap"), ("w_laplap", "w_lap", "v"), ("v_laplap", "u_xxxx"), ("u_lap", "u_yy", "v_lapt")])
def test_laplacians_and_their_gradients_are_sums_of_second_derivatives(needs: tuple[str, ...]) -> None:
    net, x = network(), points()
    losses, parts = [], {name: [PLANE.terms(name)] for name in needs}
    whole = partials(net, x, PLANE, needs)
    direct = net.partials(x, {index for sums in parts.values() for _, _, index in sums[0]})
    for name in needs:
        expected = sum(f * direct[index][:, PLANE.outputs.index(output)] for f, output, index in PLANE.terms(name))
        assert isinstance(expected, torch.Tensor)
        torch.testing.assert_close(whole[name], expected, rtol=1e-11, atol=1e-11)
        losses.append((whole[name].square().sum(), expected.square().sum()))
    totals = [torch.stack([pair[i] for pair in losses]).sum() for i in (0, 1)]
    slopes = [torch.autograd.grad(total, list(net.parameters()), retain_graph=True, allow_unused=True) for total in totals]
    for mine, theirs in zip(*slopes):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-10)


def test_a_laplacian_costs_one_coefficient() -> None:
    lap = ((1.0, (2, 0, 0)), (1.0, (0, 2, 0)))
    assert len(Truncation.below([lap]).indices) == 4  # the constant, two slopes and itself
    assert len(Truncation.below([lap, (2, 0, 0)]).indices) == 5


def test_stacks_have_a_row_per_seed() -> None:
    stack = CoordinateNetwork(3, 9, 2, 2, "sine", seeds=(0, 1)).double()
    d = partials(stack, points(), PLANE, ["w_x"])
    assert d.w_x.shape == (2, 6) and torch.allclose(d.w_x[0], partials(network(), points(), PLANE, ["w_x"]).w_x, rtol=0, atol=1e-6)


def test_wrong_names_are_refused() -> None:
    d = partials(network(), points(), PLANE, ["u"])
    with pytest.raises(KeyError, match="'u_x' was not computed, only x, y, t, u; name it in `needs`"):
        d["u_x"]
    with pytest.raises(ValueError, match=r"one of u, v, w .*got 'u_z'"):
        partials(network(), points(), PLANE, ["u_z"])
    with pytest.raises(ValueError, match="got 3 inputs and 1 outputs"):
        partials(network(1), points(), PLANE, ["u"])
    with pytest.raises(ValueError, match="'u_lap' needs an input x, y or z, got r, s"):
        Names(("r", "s"), ("u",)).terms("u_lap")
    with pytest.raises(ValueError, match="no name twice"):
        Names(("x", "x"), ("u",))


def test_cancelled_derivatives_are_not_computed() -> None:
    space = Names(("x", "y", "z"), ("u",), {"h": ((1.0, "u_lap"), (-1.0, "u_xx")), "o": ((1.0, "u_x"), (-1.0, "u_x"))})
    net = CoordinateNetwork(3, 6, 2, 1).double()
    d = partials(net, torch.rand(5, 3, dtype=torch.float64), space, ["h", "o", "u_yy", "u_zz"])
    alone = partials(net, torch.stack([d.x, d.y, d.z], 1), space, ["h"])
    torch.testing.assert_close(d.h, d.u_yy + d.u_zz)
    torch.testing.assert_close(alone.h, d.h)
    assert float(d.o.abs().max()) == 0.0
