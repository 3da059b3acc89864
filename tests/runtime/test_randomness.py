"""A stream depends on seed, purpose and index, and on nothing else."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import torch

from eddygrad.runtime.randomness import generator


def draw(*args: Any) -> list[float]:
    return torch.rand(3, generator=generator(*args)).tolist()


def test_streams_depend_on_their_three_numbers_only() -> None:
    first = draw(1, "batch", 2)
    torch.manual_seed(5)
    assert draw(1, "batch", 2) == first
    assert len({tuple(draw(*args)) for args in ((1, "batch", 2), (2, "batch", 2), (1, "noise", 2), (1, "batch", 3))}) == 4
    assert generator(1, "batch", 2).initial_seed() == int.from_bytes(hashlib.sha256(b"1/batch/2").digest()[:8], "big") >> 1


@pytest.mark.parametrize("args", [(1.0, "batch"), (True, "batch"), (1, "batch", 0.5)])
def test_other_numbers_are_refused(args: Any) -> None:
    with pytest.raises(ValueError, match="must be an integer"):
        generator(*args)
