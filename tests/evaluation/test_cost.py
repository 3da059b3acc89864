"""Costs are those of the clock and of the memory that is used at the moment."""

from __future__ import annotations

import pytest
import torch

from eddygrad.evaluation.cost import peak_resident, seconds_per_frame
from eddygrad.solver.wrap import wrap


def test_a_frame_costs_what_the_clock_says_whatever_interrupts_once(monkeypatch):
    """Seven repeats of ten frames of 1/64 s, one of them with a hiccup of 100 s: binary fractions, so exactly 1/64."""
    now = [0.0]
    calls = [0]

    def step(u):
        calls[0] += 1
        now[0] += 100.0 if calls[0] == 33 else 1 / 64
        return u

    monkeypatch.setattr("eddygrad.evaluation.cost.time.perf_counter", lambda: now[0])
    assert seconds_per_frame(wrap(step, dt=0.5), {}, torch.zeros(2, 1, 12)) == 1 / 64 and calls[0] == 70


def test_peak_memory_is_that_of_the_moment_not_what_is_left() -> None:
    """64 MB held for a moment count, and not a second time once they are freed; pages and the allocator's own leave a few MB open."""
    if peak_resident(lambda: None) is None:
        pytest.skip("this system does not tell")
    once = peak_resident(lambda: torch.ones(8_000_000, dtype=torch.float64).sum())
    assert once is not None and 60 < once < 72
    again = peak_resident(lambda: torch.ones(8_000_000, dtype=torch.float64).sum())
    nothing = peak_resident(lambda: None)
    assert again is not None and 60 < again < 72 and nothing is not None and nothing < 4
