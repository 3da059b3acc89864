"""The published benchmarks at sizes of seconds."""

from __future__ import annotations

import pytest

from eddygrad.validation import published_benchmarks


def test_the_cavity_on_a_coarse_grid() -> None:
    """32 cells, a fourth of the benchmark's: within 2 % of the lid's speed."""
    rate, u, v = (finding.got for finding in published_benchmarks.cavity(0, cells=32, end=20.0))
    assert rate < 1e-3 and 0 < u < 0.02 and 0 < v < 0.02


def test_the_channel_at_ten_cells_and_from_a_state_before() -> None:
    """Cd at most 8 % high, dp within 2 %; the lift of the true state is .0106, small beside the drag."""
    begun = published_benchmarks.channel_with_cylinder(10, 3.0)
    found = published_benchmarks.channel_with_cylinder(10, 1.0, begun.state)
    assert found.drag == pytest.approx(5.5795, rel=0.08) and found.pressure == pytest.approx(0.11752, rel=0.02)
    assert abs(found.drag - begun.drag) < 0.01 * found.drag and 0 < found.lift < 0.03


def test_a_narrow_wake_sheds() -> None:
    """Six cells per diameter in a box of 16 x 8: a blockage of 1/8 raises St and Cd above the unconfined .165 and 1.34."""
    found = published_benchmarks.wake_of_cylinder(6, 40.0, 20.0, box=(16.0, 8.0), at=4.0)
    assert found.periods >= 2 and 0.165 < found.strouhal < 0.21
    assert 1.34 < found.drag < 2.0 and 0.15 < found.lift < 0.7
