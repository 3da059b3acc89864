"""A curriculum: unroll further and learn more slowly, stage by stage."""

from __future__ import annotations

from dataclasses import dataclass, field

from eddygrad.training.schedule import Constant, Plateau, Schedule


@dataclass(frozen=True)
class Curriculum:
    """Stages of equal length, each with a horizon and a factor of the learning rate; the weights are kept, the optimiser begins anew.

        List et al. 2024, Kolmogorov flow: 1, 2, 4 steps at 1e-4, 1e-5, 1e-6, that is horizons (1, 2, 4), rates (1, .1, .01)
    Args:   horizons: steps unrolled per stage. rates: factors per stage; left out, each is a tenth of the one before. schedule: runs anew in each.
    Raises: ValueError for a horizon below one, rates of another number or not positive, or a schedule that watches validation errors.
    """

    horizons: tuple[int, ...]
    rates: tuple[float, ...] = ()
    schedule: Schedule = field(default_factory=Constant)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rates", tuple(self.rates) or tuple(0.1**i for i in range(len(self.horizons))))
        if not self.horizons or min(self.horizons) < 1:
            raise ValueError(f"curriculum: expected horizons of at least one step, got {self.horizons}")
        if len(self.rates) != len(self.horizons) or not min(self.rates) > 0:
            raise ValueError(f"curriculum: expected {len(self.horizons)} positive factors of the learning rate, one per horizon, got {self.rates}")
        if isinstance(self.schedule, Plateau):
            raise ValueError("curriculum: the plateau schedule cannot be run anew per stage; take 'constant', 'exponential' or 'cosine'")

    def starts(self, steps: int) -> list[int]:
        """The first update of every stage.

        Raises: ValueError if there are fewer updates than stages.
        """
        if steps < len(self.horizons):
            raise ValueError(f"curriculum: {len(self.horizons)} stages need as many updates at least, got {steps}")
        return [i * steps // len(self.horizons) for i in range(len(self.horizons))]

    def horizon(self, step: int, steps: int) -> int:
        """Steps unrolled at an update."""
        return self.horizons[self._stage(step, steps)]

    def factor(self, step: int, steps: int) -> float:
        """Factor of the base learning rate at an update: a curriculum is a schedule."""
        starts, i = [*self.starts(steps), steps], self._stage(step, steps)
        return self.rates[i] * self.schedule.factor(step - starts[i], starts[i + 1] - starts[i])

    def _stage(self, step: int, steps: int) -> int:
        return max(i for i, start in enumerate(self.starts(steps)) if start <= step)
