"""Points with known values, and the batches drawn from them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from cases.oscillator import grid, known

from eddygrad.pinn.points import PointBatches, Points


def test_an_epoch_goes_through_all_points_once() -> None:
    batches = PointBatches(known(20), {"all": 6})
    first = torch.cat([batches(step)[1]["all"].x for step in range(3)])
    assert len(first.unique()) == 18 and torch.equal(batches(1)[1]["all"].x, batches(1)[1]["all"].x)
    assert not torch.equal(batches(0)[1]["all"].x, batches(3)[1]["all"].x)
    one = batches(2)[1]["all"]
    torch.testing.assert_close(one.known["u"], torch.sin(2 * one.x[:, 0]))


@pytest.mark.parametrize("sizes, full", [({}, True), ({"all": 20}, True), ({"all": 6}, False)])
def test_batches_are_full_if_every_update_takes_all_points(sizes: dict[str, int], full: bool) -> None:
    batches = PointBatches(known(20), sizes)
    assert batches.full == full == (len(batches(0)[1]["all"]) == 20)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Points(torch.zeros(3)), r"expected points \(\[seeds,\] N, inputs\), got \(3,\)"),
        (lambda: Points(grid(3), {"u": torch.zeros(2)}), r"'u' has \(2,\) values, expected \(3,\)"),
        (lambda: Points(grid(3), parts=(1, 1)), "expected parts that add up to 3 points, got 2"),
        (lambda: PointBatches(known(), {"all": 50}), "a batch of at most 21 points of 'all', got 50"),
    ],
)
def test_wrong_points_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
