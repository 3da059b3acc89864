"""Partial derivatives of coordinate networks and their gradients, compared with nested autograd and with a closed form."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from eddygrad.correctors.seeded_network import seed_options
from eddygrad.pinn.network.activations import ACTIVATIONS
from eddygrad.pinn.network.coordinate_network import CoordinateNetwork
from eddygrad.pinn.network.taylor import Index, Truncation


def indices(inputs: int, order: int) -> list[Index]:
    return [index for index in product(range(order + 1), repeat=inputs) if sum(index) <= order]


def points(count: int, inputs: int, seed: int = 0) -> Tensor:
    return 2 * torch.rand(count, inputs, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) - 1


def nested(network: CoordinateNetwork, x: Tensor, wanted: list[Index]) -> dict[Index, Tensor]:
    """The readable way: one input after the other, one order after the other."""
    x = x.clone().requires_grad_()
    found = {}
    for index in wanted:
        columns = []
        for column in _plain(network, x).unbind(-1):
            value = column
            for axis, times in enumerate(index):
                for _ in range(times):
                    (slope,) = torch.autograd.grad(value.sum(), x, create_graph=True)
                    value = slope[..., axis]
            columns.append(value)
        found[index] = torch.stack(columns, -1)
    return found


def _plain(network: CoordinateNetwork, x: Tensor) -> Tensor:
    h = ((x - network.mean) / network.std).unsqueeze(0)
    if network.periodic:
        turns = torch.stack([2 * math.pi * (x[:, axis] - network.mean[axis]) / length for axis, length in network.periodic.items()], -1)
        h = torch.cat([h[..., [axis for axis in range(network.inputs) if axis not in network.periodic]], turns.sin()[None], turns.cos()[None]], -1)
    if network.features is not None:
        turns = 2 * math.pi * h @ network.features
        h = torch.cat([turns.sin(), turns.cos()], -1)
    f = {"sine": torch.sin, "tanh": torch.tanh, "silu": torch.nn.functional.silu, "gelu": torch.nn.functional.gelu}[network.activation]
    *hidden, last = zip(network.weights, network.biases)
    for w, b in hidden:
        h = f(h @ w + b)
    return (h @ last[0] + last[1])[0]


@pytest.mark.parametrize("fourier", [None, (3, 0.3)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_partial_up_to_fifth_order_is_that_of_nested_autograd(activation: str, fourier: tuple[int, float] | None) -> None:
    network = CoordinateNetwork(2, 7, 2, 2, activation, mean=(0.1, -0.2), std=(0.7, 1.3), fourier=fourier).double()
    x, wanted = points(4, 2), indices(2, 5)
    expected, got = nested(network, x, wanted), network.partials(x, wanted)
    for index in wanted:
        assert (got[index] - expected[index]).abs().max() < 1e-10 * expected[index].abs().max(), index


def test_periodic_coordinates_make_periodic_fields_and_partials() -> None:
    network = CoordinateNetwork(3, 7, 2, 2, "tanh", mean=(0.1, -0.2, 0.4), std=(0.7, 1.3, 0.9), periodic={2: 1.7, 0: 2.5}).double()
    x, wanted = points(5, 3), [(0, 0, 0), (2, 1, 0), (1, 0, 3), (0, 2, 2)]
    expected, got = nested(network, x, wanted), network.partials(x, wanted)
    away = network.partials(x + torch.tensor([2.5, 0.0, -1.7], dtype=torch.float64), wanted)
    for index in wanted:
        assert (got[index] - expected[index]).abs().max() < 1e-10 * expected[index].abs().max(), index
        assert (got[index] - away[index]).abs().max() < 1e-11 * expected[index].abs().max(), index
    assert (network(x) - network(x + torch.tensor([0.0, 1.0, 0.0]))).abs().max() > 1e-3
    again = network.with_seeds((1, 2))
    assert again.periodic == {0: 2.5, 2: 1.7} and again(x).shape == (2, 5, 2)
    with pytest.raises(ValueError, match="a period above 0 for coordinates 0 to 1"):
        CoordinateNetwork(2, 4, 1, 1, periodic={2: 1.0})


def test_partials_of_a_sum_of_sines_equal_the_closed_form() -> None:
    """y = sum_j v_j sin(w_j . x + b_j) + c: d^a y = sum_j v_j prod_i w_ij^a_i sin(.. + |a| pi / 2)."""
    network = CoordinateNetwork(3, 20, 1, 2, "sine").double()
    with torch.no_grad():
        network.biases[0].normal_(generator=torch.Generator().manual_seed(3))
    x, wanted = points(9, 3), [(0, 0, 0), (1, 0, 1), (5, 0, 0), (2, 3, 0), (1, 1, 1), (0, 4, 1)]
    w, v = network.weights[0][0], network.weights[1][0]
    got = network.partials(x, wanted)
    for index in wanted:
        factor = torch.stack([w[i] ** n for i, n in enumerate(index)]).prod(0)
        exact = (factor * torch.sin(x @ w + network.biases[0][0] + sum(index) * math.pi / 2)) @ v + (network.biases[1][0] if not any(index) else 0)
        assert (got[index] - exact).abs().max() < 1e-12 * exact.abs().max()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_of_partials_are_those_of_nested_autograd(activation: str) -> None:
    network = CoordinateNetwork(2, 6, 3, 2, activation).double()
    x, wanted = points(5, 2), [(0, 0), (2, 1), (4, 0), (0, 5), (1, 1)]
    weights = {index: torch.randn(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(k)) for k, index in enumerate(wanted)}
    found = []
    for way in (network.partials(x, wanted), nested(network, x, wanted)):
        loss = sum((way[index] * weights[index]).sum() for index in wanted)
        found.append(torch.autograd.grad(loss, list(network.parameters())))
    for got, expected in zip(*found):
        assert (got - expected).abs().max() < 1e-10 * expected.abs().max()


COMBINATIONS = {  # of one order each
    "divergence": ((1.0, (1, 0)), (-2.0, (0, 1))),
    "Laplacian": ((1.0, (2, 0)), (1.0, (0, 2))),
    "weighted": ((0.5, (2, 0)), (3.0, (1, 1)), (-1.0, (0, 2))),
    "third": ((2.0, (2, 1)), (1.0, (0, 3))),
    "of one": ((4.0, (1, 2)),),
}


@pytest.mark.parametrize("wanted", [["divergence"], ["Laplacian"], ["divergence", "third"], [*COMBINATIONS, (2, 1), (0, 0)]], ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_combination_is_the_sum_of_its_members(activation: str, wanted: list[Any]) -> None:
    """By itself, when its members are not kept, and together with partials of other orders."""
    network = CoordinateNetwork(2, 6, 3, 2, activation, std=(0.7, 1.3)).double()
    x, asked = points(5, 2), [COMBINATIONS.get(one, one) for one in wanted]
    plain = network.partials(x, indices(2, 3))
    found = network.partials(x, asked)
    gradients = []
    for way in ("asked", "summed"):
        own = found if way == "asked" else {one: _summed(one, plain) for one in asked}
        for one in asked:
            torch.testing.assert_close(own[one], _summed(one, plain), rtol=1e-11, atol=1e-12)
        gradients.append(torch.autograd.grad(sum(part.square().sum() for part in own.values()), list(network.parameters())))  # type: ignore[arg-type]
    for got, expected in zip(*gradients):
        assert (got - expected).abs().max() <= 1e-11 * expected.abs().max()


def _summed(one: Any, plain: dict[Index, Tensor]) -> Tensor:
    terms = one if isinstance(one[0], tuple) else ((1.0, one),)
    return sum(factor * plain[index] for factor, index in terms)


def test_each_entry_of_a_stack_is_the_network_of_its_seed() -> None:
    stack = CoordinateNetwork(2, 8, 2, 1, "tanh", seeds=(3, 4, 5)).double()
    x, wanted = points(6, 2), [(0, 0), (2, 0), (1, 1)]
    whole = stack.partials(x, wanted)
    own = torch.stack([points(6, 2, seed) for seed in range(3)])
    mixed = stack.partials(own, wanted)
    for s, seed in enumerate(stack.seeds):
        single, entry = CoordinateNetwork(2, 8, 2, 1, "tanh", seed=seed).double(), stack.entry(s)
        for index in wanted:
            torch.testing.assert_close(whole[index][s], entry.partials(x, wanted)[index], rtol=0, atol=1e-14)
            torch.testing.assert_close(mixed[index][s], entry.partials(own[s], wanted)[index], rtol=0, atol=1e-14)
        assert all(torch.equal(a.float(), b.float()) for a, b in zip(single.parameters(), entry.parameters()))
    assert stack(x).shape == (3, 6, 1) and stack.entry(0)(x).shape == (6, 1)


def test_layers_are_drawn_independently_and_the_published_size_agrees() -> None:
    network = CoordinateNetwork(2, 50, 5, 1)
    assert network.parameter_count() == 10_401 and CoordinateNetwork(3, 100, 7, 2, "sine").parameter_count() == 61_202
    assert not torch.equal(network.weights[1], network.weights[2])
    for made, gain in ((network, 1.0), (CoordinateNetwork(2, 50, 5, 1, gain=5 / 3), 5 / 3)):
        again = made.with_seeds((4, 5))
        assert again.gain == gain and float(made.weights[2].std()) == pytest.approx(gain * math.sqrt(2 / 100), rel=0.05)
        assert float(again.entry(1).weights[2].std()) == pytest.approx(gain * math.sqrt(2 / 100), rel=0.05)
    with pytest.raises(ValueError, match="a gain above 0, got -1"):
        CoordinateNetwork(2, 50, 5, 1, gain=-1)


def test_a_truncation_keeps_all_indices_below_the_wanted_ones() -> None:
    kept = Truncation.below([(2, 1), (0, 3)])
    assert set(kept.indices) == {(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1), (0, 2), (0, 3)} and kept.indices[0] == (0, 0)


def test_wrong_input_is_refused() -> None:
    network = CoordinateNetwork(2, 4, 1, 1)
    with pytest.raises(ValueError, match=r"expected points \(\[1 seeds,\] N, 2\), got \(5, 3\)"):
        network(torch.zeros(5, 3))
    with pytest.raises(ValueError, match="request derivatives by index"):
        CoordinateNetwork(2, 4, 1, 1)(torch.zeros(5, 2, requires_grad=True))
    with pytest.raises(ValueError, match="indices of 2 numbers"):
        network.partials(torch.zeros(5, 2), [(1, 0, 0)])
    with pytest.raises(ValueError, match="an activation of sine, tanh, silu, gelu"):
        CoordinateNetwork(2, 4, 1, 1, "relu")
    with pytest.raises(ValueError, match="expected a positive std"):
        CoordinateNetwork(2, 4, 1, 1, std=(1.0, 0.0))


@pytest.mark.parametrize("seeds", [0, (1, 2)])
def test_results_do_not_depend_on_chunks_of_points(seeds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last chunk is smaller than the others; gradients are summed in another order."""
    network, wanted = CoordinateNetwork(2, 6, 3, 2, "tanh", **seed_options(seeds)).double(), [(0, 0), (2, 0), (1, 1)]
    x, found = points(70, 2), []
    for number in (1 << 30, 4 * 6 * 8 * 5 * 8):
        monkeypatch.setattr("eddygrad.pinn.network.coordinate_network._CACHED_BYTES", number)
        parts = network.partials(x, wanted)
        loss = sum((k + 1.0) * part.square().mean() for k, part in enumerate(parts.values()))
        assert isinstance(loss, Tensor)
        found.append(([*parts.values(), *torch.autograd.grad(loss, list(network.parameters()), retain_graph=True)], _chunks(loss)))
    assert found[0][1] == 1 and found[1][1] > 1
    for one, several in zip(found[0][0], found[1][0]):
        torch.testing.assert_close(one, several, rtol=1e-13, atol=1e-14)


def _chunks(loss: Tensor) -> int:
    """Return the number of chunks that the network's node of the graph has gone through."""
    nodes = [loss.grad_fn]
    while nodes:
        node = nodes.pop()
        if hasattr(node, "chunks"):
            return int(node.chunks)
        nodes += [parent for parent, _ in getattr(node, "next_functions", ()) if parent is not None]
    raise AssertionError("no network in the graph")
