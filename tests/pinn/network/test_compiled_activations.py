"""Fused activations are the plain ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from eddygrad.pinn.network.activations import ACTIVATIONS
from eddygrad.pinn.network.compiled_activations import Fused, _forward
from eddygrad.pinn.network.coordinate_network import CoordinateNetwork
from eddygrad.pinn.network.taylor import Truncation
from eddygrad.runtime.threads import threads

LAPLACIAN = ((1.0, (2, 0)), (1.0, (0, 2)))
WANTED = [(0, 0), LAPLACIAN, (1, 1)]


@pytest.mark.parametrize("activation, wanted", [*((name, WANTED) for name in ACTIVATIONS), ("silu", [(0, 0)])])
def test_partials_and_gradients_are_those_of_the_plain_network(activation: str, wanted: list[Any]) -> None:
    """To round-off: sums are made in another order. 7 points in a stack of two, so that no length is a multiple of a vector's."""
    before = _forward.cache_info().misses
    plain = CoordinateNetwork(2, 5, 3, 2, activation, seeds=(1, 2)).double()
    fused = plain.with_seeds((1, 2))
    fused.compiled = True
    x = torch.rand(7, 2, dtype=torch.float64)
    found = []
    for network in (plain, fused):
        parts = network.partials(x, wanted)
        loss = sum((k + 1.0) * part.square().mean() for k, part in enumerate(parts.values()))
        found.append([*parts.values(), *torch.autograd.grad(loss, list(network.parameters()))])
    assert _forward.cache_info().misses > before
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
    assert _forward.cache_info().misses == before
    for _ in range(3):
        network.partials(x, WANTED)[LAPLACIAN].sum().backward()
    assert _forward.cache_info().misses == before + 2  # the first layer has fewer coefficients


def test_a_program_belongs_to_its_number_of_threads_and_its_strides() -> None:
    """The compiler writes both into it."""
    tanh = Fused(ACTIVATIONS["tanh"])
    kept = Truncation.below(WANTED)
    z = torch.rand(1, 3, len(kept.indices), 8, dtype=torch.float64)
    expected, _ = ACTIVATIONS["tanh"].propagated(z, kept)
    before = _forward.cache_info().misses
    for count in (1, 2):
        with threads(count):
            assert (tanh.propagated(z, kept)[0] - expected).abs().max() < 1e-14
    turned = z.transpose(1, 3).contiguous().transpose(1, 3)
    assert (tanh.propagated(turned, kept)[0] - expected).abs().max() < 1e-14
    assert _forward.cache_info().misses == before + 3


def test_threads_that_meet_new_shapes_at_once_wait_for_each_other() -> None:
    kept = Truncation.below([(2,)])

    def gap(points: int) -> float:
        z = torch.rand(1, 2, len(kept.indices), points, dtype=torch.float64)
        return float((Fused(ACTIVATIONS["sine"]).propagated(z, kept)[0] - ACTIVATIONS["sine"].propagated(z, kept)[0]).abs().max())

    with ThreadPoolExecutor(3) as pool:
        assert max(pool.map(gap, (11, 12, 13))) < 1e-14


def test_without_a_compiler_it_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eddygrad.pinn.network.compiled_activations.which", lambda name: None)
    network = CoordinateNetwork(1, 3, 1, 1, "gelu").double()
    network.compiled = True
    with pytest.raises(ValueError, match="fused loops need a C"):
        network.partials(torch.rand(4, 1, dtype=torch.float64), [(3,)])
