"""Compiled activations agree with the plain ones up to round-off."""

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
    """Equal up to round-off: sums have another order. 7 points and a stack of two, so that no axis is a multiple of a vector register."""
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


def test_a_program_is_compiled_once_per_shape_and_only_with_gradients() -> None:
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


def test_number_of_threads_and_strides_are_part_of_the_key() -> None:
    """The compiler writes both into the program."""
    tanh = Fused(ACTIVATIONS["tanh"])
    kept = Truncation.below(WANTED)
    z = torch.rand(1, 3, len(kept.indices), 8, dtype=torch.float64)
    expected, _ = ACTIVATIONS["tanh"].forward(z, kept)
    before = _forward.cache_info().misses
    for count in (1, 2):
        with threads(count):
            assert (tanh.forward(z, kept)[0] - expected).abs().max() < 1e-14
    turned = z.transpose(1, 3).contiguous().transpose(1, 3)
    assert (tanh.forward(turned, kept)[0] - expected).abs().max() < 1e-14
    assert _forward.cache_info().misses == before + 3


def test_threads_that_compile_at_the_same_time_do_not_interfere() -> None:
    kept = Truncation.below([(2,)])

    def gap(points: int) -> float:
        z = torch.rand(1, 2, len(kept.indices), points, dtype=torch.float64)
        return float((Fused(ACTIVATIONS["sine"]).forward(z, kept)[0] - ACTIVATIONS["sine"].forward(z, kept)[0]).abs().max())

    with ThreadPoolExecutor(3) as pool:
        assert max(pool.map(gap, (11, 12, 13))) < 1e-14


def test_a_missing_compiler_is_named_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eddygrad.pinn.network.compiled_activations.which", lambda name: None)
    network = CoordinateNetwork(1, 3, 1, 1, "gelu").double()
    network.compiled = True
    with pytest.raises(ValueError, match=r"expected a C\+\+ compiler"):
        network.partials(torch.rand(4, 1, dtype=torch.float64), [(3,)])
