"""Constrained networks: exact boundary values, and partials of the product."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from eddygrad.correctors.seeded_network import seed_options
from eddygrad.pinn.network.coordinate_network import CoordinateNetwork
from eddygrad.pinn.network.hard_constraints import Constrained, box_distance, box_extension

LOW, HIGH = (0.0, -1.0), (1.0, 2.0)


def exact(x: Tensor) -> Tensor:
    return torch.cos(3 * x[..., 0]) * torch.exp(0.5 * x[..., 1]) + x[..., 0] ** 2


def made(outputs: int = 1, seeds: object = 0) -> Constrained:
    network = CoordinateNetwork(2, 7, 2, outputs, "tanh", **seed_options(seeds), std=(0.5, 0.7)).double()  # type: ignore[arg-type]
    return Constrained(network, box_distance(LOW, HIGH), box_extension(exact, LOW, HIGH))


def rim(count: int = 9) -> Tensor:
    s = torch.linspace(0, 1, count, dtype=torch.float64)
    x, y, one = s, -1 + 3 * s, torch.ones(count, dtype=torch.float64)
    return torch.cat([torch.stack(pair, 1) for pair in ((x, -one), (x, 2 * one), (0 * one, y), (one, y))])


def test_boundary_values_are_exact_for_any_weights() -> None:
    network = made(seeds=(1, 2))
    torch.testing.assert_close(network(rim())[..., 0], exact(rim()).expand(2, -1), rtol=0, atol=1e-13)
    inside = torch.tensor([[0.5, 0.5]], dtype=torch.float64)
    assert (network(inside)[0] - network(inside)[1]).abs().max() > 1e-3


@pytest.mark.parametrize("wanted", [[(0, 0), (1, 0), (2, 0), (1, 2)], [((1.0, (2, 0)), (1.0, (0, 2))), (0, 0)]])
def test_partials_are_those_of_nested_autograd(wanted: list[object]) -> None:
    network = made(2)
    x = torch.rand(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = network.partials(x, wanted)  # type: ignore[arg-type]
    points = x.clone().requires_grad_()
    h = (points - network.network.mean) / network.network.std
    for w, b in list(zip(network.network.weights, network.network.biases))[:-1]:
        h = torch.tanh(h @ w[0] + b[0])
    n = h @ network.network.weights[-1][0] + network.network.biases[-1][0]
    y = network.values(points).unsqueeze(1) + network.distance(points).unsqueeze(1) * n  # type: ignore[misc]

    def nested(value: Tensor, index: tuple[int, ...]) -> Tensor:
        for axis, times in enumerate(index):
            for _ in range(times):
                value = torch.autograd.grad(value.sum(), points, create_graph=True)[0][:, axis]
        return value

    for index in wanted:
        sums = index if isinstance(index[0], tuple) else ((1.0, index),)  # type: ignore[index]
        for c in range(2):
            expected = sum(f * nested(y[:, c], part) for f, part in sums)  # type: ignore[union-attr]
            torch.testing.assert_close(found[index][:, c], expected, rtol=1e-11, atol=1e-11)  # type: ignore[index]


def test_fields_are_evaluated_once_per_set_of_points() -> None:
    calls = []

    def counted(x: Tensor) -> Tensor:
        calls.append(len(x))
        return box_distance(LOW, HIGH)(x)

    network = Constrained(CoordinateNetwork(2, 5, 1, 1).double(), counted)
    x = torch.rand(4, 2, dtype=torch.float64)
    first, again = network(x), network(x)
    assert calls == [4] and torch.equal(first, again)
    assert not torch.equal(network(x / 2), first) and len(calls) == 2
    expected = network(x / 2)
    x.mul_(0.5)  # the same tensor, other points
    assert torch.equal(network(x), expected)
    with torch.inference_mode():
        fixed = x.clone()
        fixed, moved = network(fixed), network(fixed.mul_(0.5))
    assert torch.equal(fixed, expected) and not torch.equal(moved, expected)


def test_a_field_of_another_shape_is_refused() -> None:
    x = torch.rand(4, 2, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"for each of the points \(4, 2\), got \(1, 1\)"):
        Constrained(CoordinateNetwork(2, 5, 1, 1).double(), lambda x: x.sum().reshape(1))(x)
    with pytest.raises(ValueError, match="distance expects a function with one number per point, got 2"):
        Constrained(CoordinateNetwork(2, 5, 1, 1).double(), lambda x: x * (1 - x))(x)
    with pytest.raises(ValueError, match="expected a rectangle with 2 axes, got 3 axes"):
        box_extension(exact, (0, 0, 0), (1, 1, 1))
