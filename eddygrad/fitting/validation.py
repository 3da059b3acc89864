"""Validation error of a stepper on trajectories that training does not see."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from eddygrad.datasets.dataset import Dataset
from eddygrad.evaluation import metrics
from eddygrad.solver.step import Stepper, free_values, info_of
from eddygrad.solver.unroll import Window, trajectory

# A numpy solver that blows up is counted as diverged; its warnings would come by the thousand.
without_overflow_warnings = np.errstate(over="ignore", invalid="ignore", divide="ignore")


@dataclass
class Validation:
    """Error `rellinf` per seed, the mean over windows that are spread evenly over each validation trajectory.

    Args:
        data:    validation trajectories.
        horizon: frames of a window after its first.
        windows: windows per trajectory, fewer where the trajectory has no room for them.
    """

    data: Dataset
    horizon: int
    windows: int = 4
    _window: Window | None = field(default=None, repr=False)

    def __call__(self, module: nn.Module) -> Tensor:
        stepper: Any = module
        return self.score(stepper)

    @torch.no_grad()
    @without_overflow_warnings
    def score(self, stepper: Stepper) -> Tensor:
        """Return the error of every seed, (S,); (1,) for a stepper without a seed axis."""
        window = self._spread_window()
        u, params = window.u, window.params
        like, seeds = u[:, 0], info_of(stepper).seeds
        start = like if seeds is None else like.expand(len(seeds), *like.shape)
        rolled = trajectory(stepper.at(params, like), start, self.horizon + 1, include_start=True, time_axis=1 if seeds is None else 2)
        return metrics.rellinf(rolled, u, self.data.grid.ndim, free_values(stepper, params, like)).mean(-1).reshape(-1)

    def _spread_window(self) -> Window:
        """Read the windows at the first call and keep them."""
        if self._window is None:
            last_start = self.data.frames - self.horizon - 1
            starts = sorted({round(i * last_start / max(1, self.windows - 1)) for i in range(self.windows)})
            self._window = self.data.windows(self.horizon, starts)
        return self._window
