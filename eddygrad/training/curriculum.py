"""A curriculum: longer horizons and lower learning rates, stage by stage."""

from __future__ import annotations

from dataclasses import dataclass, field

from eddygrad.training.schedule import Constant, Schedule


@dataclass(frozen=True)
class Curriculum(Schedule):
    """Stages of equal length, each with a horizon and a factor of the learning rate. Weights are kept; every stage begins with a new optimiser.

        List et al. 2024, Kolmogorov flow: 1, 2, 4 steps at 1e-4, 1e-5, 1e-6, that is horizons (1, 2, 4), rates (1, .1, .01)
    Args:
        horizons: steps unrolled per stage.
        rates:    factors of the learning rate per stage; by default each is a tenth of the one before.
        schedule: schedule inside a stage; it starts again in every stage.
    Raises: ValueError for a horizon below one, rates of another number or not positive, or a schedule that needs validation errors.
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
        if self.schedule.needs_validation:
            raise ValueError("curriculum: the plateau schedule cannot start again in every stage; take 'constant', 'exponential' or 'cosine'")

    def starts(self, steps: int) -> list[int]:
        """Return the first update of every stage.

        Raises: ValueError if there are fewer updates than stages.
        """
        if steps < len(self.horizons):
            raise ValueError(f"curriculum: {len(self.horizons)} stages need as many updates at least, got {steps}")
        return [i * steps // len(self.horizons) for i in range(len(self.horizons))]

    def horizon(self, step: int, steps: int) -> int:
        """Return the steps unrolled at an update."""
        return self.horizons[self._stage(step, steps)]

    def factor(self, step: int, steps: int) -> float:
        """Return the factor of the base learning rate at an update."""
        starts, i = [*self.starts(steps), steps], self._stage(step, steps)
        return self.rates[i] * self.schedule.factor(step - starts[i], starts[i + 1] - starts[i])

    def _stage(self, step: int, steps: int) -> int:
        return max(i for i, start in enumerate(self.starts(steps)) if start <= step)
