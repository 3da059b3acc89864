"""Conflicting gradients combined by an aggregator of torchjd."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from eddygrad.runtime.code_digest import code_digest
from eddygrad.runtime.randomness import generator
from eddygrad.training.weighting.aggregator_state import Memory, recall, remembered
from eddygrad.training.weighting.base import Grads, Needs, Weighting
from eddygrad.training.weighting.constant import Uniform
from eddygrad.training.weighting.custom import as_weighting, known_as


class Aggregated(Weighting):
    """A weighting followed by an aggregator, which replaces the sum of the weighted gradients.

        update = A([lam_1 g_1; ...; lam_K g_K]),   A ConFIG, PCGrad, UPGrad, ... of `torchjd.aggregation`
        eg.weightings.Aggregated("ConFIG", eg.weightings.InverseDirichlet(reference="pde"))
    Parameters that do not count (coefficients of an equation, or those that `select` leaves out) get the sum of their weighted gradients.
    In a loop of your own: weights = weighting(losses, grads), then update = weighting.combine(rows) of the weighted gradients as rows (1, K, P).
    Each seed has its own aggregator. A random one such as PCGrad draws from a stream that depends on the number of the update only, the same for all
    seeds. The state of one with memory (GradVac, PCD, ExcessMTL) belongs to the checkpoint: an interrupted training continues bitwise, and a seed
    in a stack equals that seed alone. A state that cannot be stored, as that of NashMTL, starts anew with a warning; any state starts anew, without a
    warning, when terms join or leave.

    Args:
        aggregator: object that maps (K, P) to (P,), or the name of an aggregator of torchjd.
        weighting:  weighting before it; uniform by default.
    Raises: ValueError if torchjd is not installed, for an unknown name or one that needs arguments; TypeError for an object that is no aggregator.
    """

    def __init__(self, aggregator: Any, weighting: Any = None) -> None:
        self.aggregator = _named(aggregator) if isinstance(aggregator, str) else aggregator
        if not callable(self.aggregator) or isinstance(aggregator, Weighting):
            raise TypeError(f"Aggregated: expected an aggregator first, then a weighting, got {aggregator!r}")
        self.weighting = Uniform() if weighting is None else as_weighting(weighting)
        self.calls = 0
        self._own: list[Any] = []  # of each seed
        self._memories: list[Memory] = []  # read from a checkpoint, for the aggregators of the next call
        self._names: tuple[str, ...] | None = None  # of the terms, in their order
        self._owed = False  # whether the last weights have not been combined yet

    combines = True

    @property
    def frozen(self) -> bool:
        """Whether weights stay as they are; may be set."""
        return self.weighting.frozen

    @frozen.setter
    def frozen(self, value: bool) -> None:
        self.weighting.frozen = value

    @property
    def due(self) -> bool:
        """Whether the weighting is due; gradients are needed at every call."""
        return self.weighting.due

    @property
    def draws(self) -> int:  # type: ignore[override]
        """Random signs that the weighting's probes are averaged over."""
        return self.weighting.draws

    @property
    def needs(self) -> Needs:  # type: ignore[override]
        """Input of the weighting."""
        return self.weighting.needs

    @property
    def needs_gradients(self) -> bool:
        """True: the update is made of them."""
        return True

    def announce(self, names: Collection[str]) -> None:
        self.weighting.announce(names)

    def force(self) -> None:
        self.weighting.force()

    def __call__(
        self, losses: Mapping[str, Tensor], grads: Grads | None = None, select: Sequence[int] | None = None, *, probes: Grads | None = None
    ) -> Mapping[str, Any]:
        if self._owed:
            raise ValueError("Aggregated: the last update was made without it; pass the weighted gradients to combine(rows), (S, K, P) to (S, P)")
        weights = self.weighting(losses, grads, select, probes=probes)
        if self._names not in (None, tuple(losses)):  # an aggregator's state belongs to terms by position
            self._own, self._memories = [], []
        self._names, self._owed = tuple(losses), True
        return weights

    @torch.no_grad()
    def combine(self, rows: Tensor) -> Tensor:
        """Return the update (S, P) of weighted gradients (S, K, P), each seed separately; the sum if their products overflow, for the guard."""
        if len(self._own) != len(rows):
            self._own = [deepcopy(self.aggregator) for _ in rows]
            for aggregator, memory in zip(self._own, self._memories):
                recall(aggregator, memory, rows.device)
            self._memories = []
        found = []
        for aggregator, matrix in zip(self._own, rows):
            within = bool((matrix @ matrix.mT).isfinite().all())  # a product that overflows would raise and end all seeds
            with _drawing(self.calls, rows.device):
                found.append(aggregator(matrix) if within else matrix.sum(0))
        self.calls, self._owed = self.calls + 1, False
        return torch.stack(found)

    def state_dict(self) -> dict[str, Any]:
        memories: list[Memory | None] = [*self._memories] or [remembered(aggregator, self.aggregator) for aggregator in self._own]
        names = None if self._names is None else list(self._names)
        return {"weighting": self.weighting.state_dict(), "calls": self.calls, "names": names, "memories": memories}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if "weighting" not in state:
            raise ValueError("Aggregated: the checkpoint was written by an older version; choose another folder")
        self.weighting.load_state_dict(state["weighting"])
        memories = state.get("memories", [None] if hasattr(self.aggregator, "reset") else [])  # an older checkpoint has none
        names = state.get("names")
        self.calls, self._own, self._owed, self._names = int(state["calls"]), [], False, None if names is None else tuple(names)
        self._memories = [] if None in memories else memories
        if None in memories and self.calls:
            warnings.warn(f"{self!r}: the aggregator's state is lost; it starts anew at update {self.calls}", stacklevel=2)

    def __repr__(self) -> str:
        name = code_digest(self.aggregator)[:12] if inspect.isfunction(self.aggregator) else re.sub(r" at 0x\w+", "", repr(self.aggregator))
        return f"Aggregated({name}, {known_as(self.weighting)})"


@contextmanager
def _drawing(call: int, device: torch.device) -> Iterator[None]:
    """Seed the global generators of the CPU and of this device for this call, and restore them afterwards."""
    seed = generator(0, "aggregator", call).initial_seed()
    elsewhere = [] if device.type == "cpu" else [device]
    with torch.random.fork_rng(devices=elsewhere, device_type=device.type if elsewhere else "cuda"):
        torch.default_generator.manual_seed(seed)
        if not elsewhere:
            yield
            return
        with torch.get_device_module(device).device(device):  # seed the generator of this card
            torch.get_device_module(device).manual_seed(seed)
            yield


def _named(name: str) -> Any:
    try:
        from torchjd import aggregation
    except ImportError:
        raise ValueError('Aggregated: aggregators need the package torchjd; pip install "eddygrad[aggregation]"') from None
    every = {n: found for n, found in vars(aggregation).items() if isinstance(found, type) and issubclass(found, aggregation.Aggregator)}
    kinds = {n: found for n, found in every.items() if not n.endswith("Aggregator")}  # those are bases
    by_name = {n.lower(): found for n, found in kinds.items()}
    if name.lower() not in by_name:
        raise ValueError(f"Aggregated: expected one of {', '.join(sorted(kinds))}, got {name!r}")
    try:
        return by_name[name.lower()]()
    except TypeError as error:
        raise ValueError(f"Aggregated: {name} cannot be made by its name alone ({error}); give the object, torchjd.aggregation.{name}(...)") from None
