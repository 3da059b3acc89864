"""What the training loop needs of a module and of the objects with state around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from torch import Tensor, nn

from eddygrad.training.gradients import Reduce

Probes = Callable[..., Mapping[str, Tensor]]  # (window[, draw]) -> randomly signed sums of residuals by term


class Phases(NamedTuple):
    """Updates at which the loss changes: `joins`, the first updates of terms that begin late, and `leaves`, the first updates without a term."""

    joins: tuple[int, ...] = ()
    leaves: tuple[int, ...] = ()


class Stateful:
    """Base of objects whose state changes with every update and belongs to a checkpoint, such as point weights and resampled points."""

    frozen: bool = False

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint: tensors, numbers, strings and containers of them."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""

    def freeze(self, value: bool) -> None:
        """Keep the state as it is until `freeze(False)`."""
        self.frozen = value

    def reduce_with(self, reduce: Reduce | None) -> None:
        """Take means over processes with this function; None for a single process."""


@runtime_checkable
class HasSeeds(Protocol):
    """A module with a seed axis: its seeds, or None for a single network."""

    @property
    def seeds(self) -> tuple[int, ...] | None: ...


@runtime_checkable
class HasProbes(Protocol):
    """A module that gives randomly signed sums of its residuals, from which traces of the tangent kernel are estimated."""

    def probes(self, window: Any, draw: int = 0) -> Mapping[str, Tensor]: ...


@runtime_checkable
class HasState(Protocol):
    """A module or a source of batches that keeps state beside network weights."""

    def stateful(self) -> Mapping[str, Stateful]: ...


@runtime_checkable
class Trainable(HasSeeds, HasState, Protocol):
    """A module as the loop sees it; `as_trainable` adapts any other `nn.Module`."""

    probes: Probes | None

    def excluded(self) -> Sequence[nn.Parameter]:
        """Return the parameters that weightings leave out, such as unknown coefficients of an equation."""
        ...

    def phases(self) -> Phases:
        """Return the updates at which terms join and leave the loss."""
        ...


class PlainModule:
    """A plain `nn.Module` as a `Trainable`: no excluded parameters, no phases, no further state."""

    def __init__(self, module: nn.Module) -> None:
        self.seeds = module.seeds if isinstance(module, HasSeeds) else None
        self.probes: Probes | None = module.probes if isinstance(module, HasProbes) else None

    def excluded(self) -> Sequence[nn.Parameter]:
        """Return no parameters."""
        return ()

    def phases(self) -> Phases:
        """Return no updates: all terms are in the loss throughout."""
        return Phases()

    def stateful(self) -> Mapping[str, Stateful]:
        """Return no objects."""
        return {}


def as_trainable(module: nn.Module) -> Trainable:
    """Return the module itself if it is `Trainable`, else an adapter around it."""
    return module if isinstance(module, Trainable) else PlainModule(module)
