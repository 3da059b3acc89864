"""Mean and standard deviation of each channel, stored as numbers with the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Normalisation:
    """Standardise channels with mean and standard deviation of training data.

        apply(u) = (u - mean) / std,  undo(v) = v std + mean

    Args:
        mean: one number per channel, in the channel's unit.
        std:  population standard deviation of each channel, in the channel's unit.
    Raises: ValueError if the lengths differ or a std is not positive.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or any(not s > 0 for s in self.std):
            raise ValueError(f"Normalisation: needs one mean and one positive std per channel, got mean={self.mean}, std={self.std}")

    def apply(self, u: Tensor, channel_axis: int = 1) -> Tensor:
        """Return (u - mean) / std; `channel_axis` is 1 for states (B, C, *grid), 2 for trajectories (B, T, C, *grid)."""
        return (u - self._column(self.mean, u, channel_axis)) / self._column(self.std, u, channel_axis)

    def undo(self, v: Tensor, channel_axis: int = 1) -> Tensor:
        """Return v std + mean, the inverse of `apply`."""
        return v * self._column(self.std, v, channel_axis) + self._column(self.mean, v, channel_axis)

    def _column(self, values: Sequence[float], u: Tensor, axis: int) -> Tensor:
        axis = axis % u.ndim
        if u.shape[axis] != len(values):
            raise ValueError(f"Normalisation: expected {len(values)} channels on axis {axis}, got {tuple(u.shape)}; set channel_axis")
        column = torch.tensor(values, dtype=torch.float64).reshape([-1 if a == axis else 1 for a in range(u.ndim)])
        return column.to(dtype=u.dtype, device=u.device)


def sample_moments(u: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of each sample and channel over time and grid.

    Args:    u: trajectories (B, T, C, *grid). One sample at a time is converted to float64.
    Returns: mean and variance, (B, C) each, float64, on the CPU.
    """
    axes = (0, *range(2, u.ndim - 1))
    pairs = [torch.var_mean(sample.to(torch.float64), dim=axes, correction=0) for sample in u]
    if not pairs:
        return (torch.zeros(0, u.shape[2], dtype=torch.float64),) * 2
    return torch.stack([m for _, m in pairs]).cpu(), torch.stack([v for v, _ in pairs]).cpu()


def pool(mean: Tensor, variance: Tensor) -> Normalisation:
    """Return the normalisation of several samples of equal length from their moments; Chan, Golub and LeVeque 1983.

        mean = <mean_i>,  var = <var_i> + <(mean_i - mean)^2>

    A constant channel gets std 1, so that `apply` only shifts it. Without samples the result is mean 0, std 1.

    Args: mean, variance: of each sample and channel, (samples, channels).
    """
    if mean.shape[0] == 0:
        return Normalisation((0.0,) * mean.shape[1], (1.0,) * mean.shape[1])
    total = mean.mean(0)
    std = (variance.mean(0) + ((mean - total) ** 2).mean(0)).sqrt()
    std = torch.where(std > 0, std, torch.ones_like(std))
    return Normalisation(tuple(total.tolist()), tuple(std.tolist()))
