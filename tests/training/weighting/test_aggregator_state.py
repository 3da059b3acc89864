"""What aggregators remember: of each seed its own, kept over a kill, of terms that are there and of no others."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from cases.weighting_cases import trained_by_aggregator
from torch import Tensor, nn

from eddygrad.training.checkpoint import load_state
from eddygrad.training.weighting import Aggregated


class Told:
    """No module; is longer every time, and tells its state."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, rows: Tensor) -> Tensor:
        self.times += 1
        return rows.sum(0) * self.times

    def state_dict(self) -> dict[str, Any]:
        return {"times": self.times, "inside": {"few": [self.times, (None, torch.tensor(self.times))]}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        assert int(state["inside"]["few"][1][1]) == state["times"]
        self.times = state["times"]


class Untold:
    """The same, and tells nothing."""

    times = 0

    def __call__(self, rows: Tensor) -> Tensor:
        self.times += 1
        return rows.sum(0) * self.times


class Learns(nn.Module):
    """Has a parameter, a buffer, a number and a part of which each changes."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(2))
        self.register_buffer("seen", None)
        self.inner = nn.Linear(1, 1)
        nn.init.zeros_(self.inner.bias)
        self.key: Any = None
        self.never = np.ones(3)  # does not change, so it need not be kept

    def forward(self, rows: Tensor) -> Tensor:
        before = torch.zeros(2) if self.seen is None else self.seen
        self.seen = 0.5 * before + rows[:, 0].detach()
        with torch.no_grad():
            self.gain += 0.1 * self.seen
            self.inner.bias += 1.0
        self.key = (len(rows), rows.dtype, rows.device)
        return (rows * self.gain.detach().unsqueeze(1)).sum(0) + self.inner.bias.detach()


class Numpys(nn.Module):
    """Remembers what no checkpoint holds: a number of numpy's, that looks like one of Python's."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Any = 1.0

    def forward(self, rows: Tensor) -> Tensor:
        self.seen = np.float64(self.seen + 1.0)
        return rows.sum(0)


class Grows(nn.Module):
    """Has a part only since it was asked."""

    def forward(self, rows: Tensor) -> Tensor:
        self.inner = nn.Linear(1, 1)
        return rows.sum(0)


def stored(state: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint makes of it."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    found: dict[str, Any] = torch.load(file, weights_only=True)
    return found


@pytest.mark.parametrize("make", [Told, Untold, Learns])
def test_what_is_remembered_goes_on_over_a_checkpoint(make: Any) -> None:
    torch.manual_seed(0)
    rows = torch.randn(2, 2, 5)
    straight = Aggregated(make())
    for _ in range(3):
        straight.combine(rows)
    kept = straight.state_dict()
    for _ in range(2):  # a state is of its moment, and can be asked again before anything was made of it
        again = Aggregated(make())
        again.load_state_dict(stored(kept))
        kept = again.state_dict()
    found = again.combine(rows)
    assert torch.equal(found, straight.combine(rows)) and not torch.equal(found, Aggregated(make()).combine(rows))


@pytest.mark.parametrize("name", ["GradVac", "PCD", "ExcessMTL"])
def test_one_of_torchjds_has_a_memory_for_each_seed_and_goes_on_with_it(name: str, tmp_path: Any) -> None:
    whole = trained_by_aggregator((3, 8), 20, aggregator=name)
    torch.testing.assert_close(trained_by_aggregator((8,), 20, aggregator=name)[0], whole[1])
    trained_by_aggregator((3, 8), 10, tmp_path, name)
    begun = load_state(tmp_path / "checkpoint.pt")["weighting"]["memories"]
    assert len(begun) == 2 and begun[0] and begun[1]
    assert torch.equal(trained_by_aggregator((3, 8), 20, tmp_path, name), whole)


@pytest.mark.parametrize("name", ["UPGrad", "DualProj", "Mean"])
def test_nothing_is_said_to_be_lost_of_one_that_remembers_nothing(name: str, tmp_path: Any) -> None:
    whole = trained_by_aggregator((3, 8), 20, aggregator=name)
    trained_by_aggregator((3, 8), 10, tmp_path, name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(trained_by_aggregator((3, 8), 20, tmp_path, name), whole)


@pytest.mark.parametrize("make", [Numpys, Grows])
def test_a_memory_that_no_disk_keeps_is_told_where_it_is_lost(make: Any, tmp_path: Any) -> None:
    trained_by_aggregator((3, 8), 10, tmp_path, make())
    with pytest.warns(UserWarning, match="the aggregator's state is lost; it starts anew at update 10"):
        trained_by_aggregator((3, 8), 20, tmp_path, make())


@pytest.mark.parametrize("name", ["GradVac", "ExcessMTL"])
def test_what_is_known_of_a_term_is_not_anothers_that_takes_its_place(name: str) -> None:
    torch.manual_seed(0)
    rows, other = 100 * torch.randn(1, 2, 5), torch.randn(1, 2, 5)
    aggregator, fresh = Aggregated(name), Aggregated(name)
    for names, given in (("ab", rows), ("ab", rows), ("ac", other)):
        aggregator({term: torch.ones(1) for term in names})
        found = aggregator.combine(given)
    fresh.calls = 2  # the same draws
    assert torch.equal(found, fresh.combine(other))


def test_gradients_whose_products_overflow_end_one_seed_and_not_its_neighbours() -> None:
    torch.manual_seed(0)
    rows = torch.randn(2, 2, 5)
    rows[1] *= 1e25
    found = Aggregated("AlignedMTL").combine(rows)
    assert torch.equal(found[0], Aggregated("AlignedMTL").combine(rows[:1])[0]) and torch.equal(found[1], rows[1].sum(0))
