"""Training in one call: what a run's folder is bound to, and which windows a single network sees."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from eddygrad.correctors.compose import predict
from eddygrad.correctors.resnet import ResNet
from eddygrad.datasets.dataset import Dataset
from eddygrad.solver.grid import Grid
from eddygrad.studies.experiment import fit

OPTIONS = {"unroll": "nog:2", "steps": 4, "batch": 2, "validate_every": 4, "validation_horizon": 3, "progress": False}


def data(scale: float = 1.0) -> Dataset:
    u = torch.randn(6, 12, 1, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return Dataset.from_tensor(scale * u, {}, Grid((8,), 2 * math.pi), dt=1.0)


def network(seeds: int | tuple[int, ...]) -> ResNet:
    return ResNet(3, 1, cin=1, seeds=seeds).double()


def test_a_folder_is_bound_to_the_content_of_its_data(tmp_path: Path) -> None:
    fit(predict(network(0), 1.0), data(), folder=tmp_path, **OPTIONS)
    with pytest.raises(ValueError, match="another configuration"):
        fit(predict(network(0), 1.0), data(2.0), folder=tmp_path, **OPTIONS)


def test_a_single_network_sees_the_windows_of_its_own_seed() -> None:
    stack, single = (fit(predict(network(seeds), 1.0), data(), **OPTIONS).stepper.network for seeds in ((3, 7), 7))
    for whole, one in zip(stack.parameters(), single.parameters()):
        assert (whole[1] - one[0]).abs().max() < 1e-13  # a product over two seeds adds in another order
    assert (whole[0] - one[0]).abs().max() > 1e-3
