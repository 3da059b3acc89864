"""Fused activations are the plain ones."""

from __future__ import annotations

import pytest
import torch

from eddygrad.correctors.activations import ACTIVATIONS
from eddygrad.correctors.coordinate import CoordinateNetwork
from eddygrad.correctors.fused import _backward, _forward

LAPLACIAN = ((1.0, (2, 0)), (1.0, (0, 2)))
WANTED = [(0, 0), LAPLACIAN, (1, 1)]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_partials_and_gradients_are_those_of_the_plain_network(activation: str) -> None:
    """To round-off: sums are made in another order. 7 points in a stack of two, so that no length is a multiple of a vector's."""
    before = _forward.cache_info().misses
    plain = CoordinateNetwork(2, 5, 3, 2, activation, seeds=(1, 2)).double()
    fused = plain.with_seeds((1, 2))
    fused.compiled = True
    x = torch.rand(7, 2, dtype=torch.float64)
    found = []
    for network in (plain, fused):
        parts = network.partials(x, WANTED)
        loss = sum((k + 1.0) * part.square().mean() for k, part in enumerate(parts.values()))
        found.append([*parts.values(), *torch.autograd.grad(loss, list(network.parameters()))])
    assert _forward.cache_info().misses > before and not torch._dynamo.utils.counters["graph_break"]
    for expected, got in zip(*found, strict=True):
        assert not torch.equal(expected, torch.zeros_like(expected))
        assert (got - expected).abs().max() < 1e-13 * expected.abs().max().clamp(min=1)


def test_programs_are_made_once_a_kind_and_only_where_gradients_are_asked_for() -> None:
    network = CoordinateNetwork(2, 4, 2, 1, "tanh").double()
    network.compiled = True
    assert network.with_seeds(3).compiled
    x = torch.rand(6, 2, dtype=torch.float64)
    before = _forward.cache_info().misses
    with torch.no_grad():
        network.partials(x, WANTED)
    network(x)  # a constant has nothing to fuse
    assert _forward.cache_info().misses == before
    for _ in range(3):
        network.partials(x, WANTED)[LAPLACIAN].sum().backward()
    assert _forward.cache_info().misses == before + 2  # the first layer has fewer coefficients
    assert _backward.cache_info().currsize >= 1


def test_without_a_compiler_it_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eddygrad.correctors.fused.which", lambda name: None)
    network = CoordinateNetwork(1, 3, 1, 1, "gelu").double()
    network.compiled = True
    with pytest.raises(ValueError, match="fused loops need a C"):
        network.partials(torch.rand(4, 1, dtype=torch.float64), [(3,)])
