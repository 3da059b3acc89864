"""Checks of parameters and diagnostics before they are stored."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from eddygrad.datasets import Dataset


@pytest.mark.parametrize(
    "given,text",
    [
        ({"u": torch.zeros(2, 3)}, "'u' cannot name"),
        ({"a": torch.zeros(2)}, r"expected \(2, 3\)"),
        ({"a": torch.full((2, 3), math.nan)}, "NaN or Inf"),
    ],
)
def test_bad_diagnostics_of_a_tensor_are_refused(given: dict[str, Tensor], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Dataset.from_tensor(torch.zeros(2, 3, 1, 4), diagnostics=given)
