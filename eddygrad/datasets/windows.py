"""Training windows as a pure function of (step, horizon): index arithmetic on the trajectories, without overlapping copies."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from eddygrad.runtime.randomness import generator
from eddygrad.solver.unroll import Window

if TYPE_CHECKING:
    from eddygrad.datasets.dataset import Dataset

_EPOCHS_KEPT = 3


def window_count(samples: int, frames: int, horizon: int, stride: int = 1) -> int:
    """Return the number of windows in a data set: samples * (frames - horizon * stride).

    Args:
        samples: number of trajectories.
        frames:  frames per trajectory.
        horizon: frames of a window after its first.
        stride:  frames from one frame of a window to the next.
    Raises: ValueError if the horizon does not fit into a trajectory.
    """
    if horizon < 0 or stride < 1:
        raise ValueError(f"batches: horizon must be at least 0 and stride at least 1, got horizon={horizon}, stride={stride}")
    if horizon * stride + 1 > frames:
        raise ValueError(
            f"batches: horizon {horizon} at stride {stride} needs {horizon * stride + 1} frames, got trajectories of {frames}; "
            f"horizon {(frames - 1) // stride} is the longest that fits"
        )
    return samples * (frames - horizon * stride)


class WindowBatches:
    """Batches of training windows: `batch_at(step, horizon) -> Window`; made by `Dataset.batches`.

        stream = permutations of all window numbers for epochs 0, 1, ..., one after the other
        batch `step` = entries step B .. (step + 1) B - 1 of the stream
        window w:  sample = w // starts,  first frame = w mod starts,  starts = first frames per trajectory

    Each seed draws every window once per epoch; the last batch of an epoch continues in the next. Entry s of a stacked batch is bitwise equal to the
    batch of seed s alone. The permutations of the last few epochs are cached.

    Args:
        data:   the data set.
        batch:  windows B per seed.
        seeds:  a sequence stacks the batches of its seeds; an integer (None: 0) gives the batches of one seed.
        stride: frames from one frame of a window to the next.
    Raises: ValueError for a batch below 1, no seed, or an empty data set; at a call, for a negative step or a horizon that does not fit.
    """

    def __init__(self, data: Dataset, batch: int, seeds: int | Sequence[int] | None, stride: int) -> None:
        if batch < 1:
            raise ValueError(f"batches: batch must be at least 1, got {batch}")
        if not (seeds is None or isinstance(seeds, int)) and len(seeds) == 0:
            raise ValueError(f"batches: seeds must be one integer for a single run, or a list of at least one for a stack, got {seeds!r}")
        if data.samples == 0:
            raise ValueError("batches: expected at least one trajectory, got an empty selection; give split a larger fraction for this part")
        window_count(data.samples, data.frames, 0, stride)
        self.data, self.batch, self.stride = data, batch, stride
        self.stacked = not (seeds is None or isinstance(seeds, int))
        self.seeds = (seeds or 0,) if seeds is None or isinstance(seeds, int) else tuple(int(s) for s in seeds)
        device = data.store.device
        self._first_row = (data.index * data.stored_frames + data.first).to(device)
        self._params = {name: value.to(device) for name, value in data.params.items()}
        self._offsets: dict[int, Tensor] = {}
        self._epochs: OrderedDict[tuple[int, int], Tensor] = OrderedDict()

    def __call__(self, step: int, horizon: int) -> Window:
        """Return batch `step` of windows with horizon + 1 frames."""
        if step < 0:
            raise ValueError(f"batches: step must not be negative, got {step}")
        data = self.data
        total = window_count(data.samples, data.frames, horizon, self.stride)
        numbers = self._draw(step * self.batch, total)
        if not self.stacked:
            numbers = numbers[0]
        starts = total // data.samples
        sample = torch.div(numbers, starts, rounding_mode="floor")
        rows = self._first_row[sample] + (numbers - sample * starts)
        u = data.store.rows(rows.unsqueeze(-1) + self._offset(horizon))
        return Window(u, {name: value[sample] for name, value in self._params.items()}, 2 if self.stacked else 1)

    def _draw(self, position: int, total: int) -> Tensor:
        """Window numbers (S, B) at stream positions position .. position + batch - 1, which may lie in several epochs."""
        parts, left = [], self.batch
        while left:
            epoch, begin = divmod(position, total)
            take = min(left, total - begin)
            parts.append(self._permutations(epoch, total)[:, begin : begin + take])
            position, left = position + take, left - take
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def _permutations(self, epoch: int, total: int) -> Tensor:
        key = (epoch, total)
        if key not in self._epochs:
            drawn = [torch.randperm(total, generator=generator(seed, "batch", epoch)) for seed in self.seeds]
            self._epochs[key] = torch.stack(drawn).to(self._first_row.device)
            if len(self._epochs) > _EPOCHS_KEPT:
                self._epochs.popitem(last=False)
        return self._epochs[key]

    def _offset(self, horizon: int) -> Tensor:
        if horizon not in self._offsets:
            self._offsets[horizon] = torch.arange(horizon + 1, device=self._first_row.device) * self.stride
        return self._offsets[horizon]
