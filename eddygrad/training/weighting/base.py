"""Named losses -> named weights: the interface of all weightings."""

from __future__ import annotations

import abc
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor

Grads = Mapping[str, Sequence[Tensor | None]]
Needs = Literal["losses", "gradients", "probes"]


@dataclass(frozen=True)
class Terms:
    """What an averaged weighting computes its weights from: losses, previous weights and gradients of all terms, a row per seed.

    Args:
        names:   names of the K terms.
        losses:  (S, K), float64.
        weights: previous weights (S, K), float64.
        grads:   (S, K, P) in the gradients' dtype, None where the weighting needs none; parameters that no term depends on are left out.
        layers:  sizes of the parameter tensors that make up P.
    """

    names: tuple[str, ...]
    losses: Tensor
    weights: Tensor
    grads: Tensor | None = None
    layers: tuple[int, ...] = ()

    def column(self, reference: str | Sequence[str]) -> int:
        """Return the column of a term, or of the first present one of several. Raises ValueError if none is present."""
        several = (reference,) if isinstance(reference, str) else reference
        there = [name for name in several if name in self.names]
        if not there:
            raise ValueError(f"weighting: the reference {' or '.join(map(repr, several))} is none of the terms {list(self.names)}")
        return self.names.index(there[0])

    @property
    def rows(self) -> Tensor:
        """The gradients, (S, K, P)."""
        assert self.grads is not None
        return self.grads

    @property
    def active(self) -> Tensor:
        """Terms whose gradient (or loss, if there are no gradients) is not zero, (S, K) on the CPU."""
        return (self.losses if self.grads is None else self.grads.abs().amax(2)).cpu() != 0


class Weighting(abc.ABC):
    """A weight for every named loss. The loop reads `needs` and `due`, calls the weighting once per update and knows nothing else about it.

    Rules that average their weights over updates subclass `AveragedWeighting`; a plain function becomes a `Custom` weighting.

    needs:    input of a call that is `due`: "losses" alone, "gradients" of the losses, or gradients of "probes" of the residuals.
    gradual:  weights converge over many calls, so that a line search cannot use them.
    combines: the update is `combine` of the weighted gradients, not their sum.
    draws:    random signs that the next `probes` are averaged over.
    """

    needs: Needs = "losses"
    gradual: ClassVar[bool] = False
    combines: ClassVar[bool] = False
    draws: int = 1
    _frozen: bool = False

    @abc.abstractmethod
    def __call__(
        self, losses: Mapping[str, Tensor], grads: Grads | None = None, select: Sequence[int] | None = None, *, probes: Grads | None = None
    ) -> Mapping[str, Any]:
        """Return a weight per loss: a number, () or (S,).

        Args:
            losses: name -> () or (S,).
            grads:  result of `gradients` for them.
            select: numbers of the parameters that count; None: all.
            probes: result of `gradients` for the probes.
        """

    @property
    def frozen(self) -> bool:
        """Whether weights stay as they are; may be set."""
        return self._frozen

    @frozen.setter
    def frozen(self, value: bool) -> None:
        self._frozen = value

    def freeze(self, value: bool = True) -> None:
        """Keep all weights as they are until `freeze(False)`."""
        self.frozen = value

    @property
    def due(self) -> bool:
        """Whether the next call computes new weights and must be given what the weighting `needs`."""
        return False

    @property
    def needs_gradients(self) -> bool:
        """Whether the next call must be given a gradient per loss."""
        return self.due and self.needs == "gradients"

    def announce(self, names: Collection[str]) -> None:  # noqa: B027  most rules need no announcement
        """Announce the losses of the next call; a new one may make the call due."""

    def force(self) -> None:  # noqa: B027  a rule without an interval is always up to date
        """Make the next call due, whenever the last one was."""

    def correct(self) -> None:  # noqa: B027  a rule without averages has nothing to correct
        """Average without the initial weight 1: for a line search, which sees a single evaluation."""

    def combine(self, rows: Tensor) -> Tensor:
        """Return the update (S, P) of weighted gradients (S, K, P)."""
        return rows.sum(1)

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027  some rules have no state
        """Restore what `state_dict` returned."""
