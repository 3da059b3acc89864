"""Weighted gradients that pull apart are combined by one of torchjd's aggregators, which avoid or resolve the conflict."""

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
    """A weighting, then in place of the sum of the weighted gradients what an aggregator makes of them.

        update = A([lam_1 g_1; ...; lam_K g_K]),   A ConFIG, PCGrad, UPGrad, ... of `torchjd.aggregation`
        eg.weightings.Aggregated("ConFIG", eg.weightings.InverseDirichlet(reference="pde"))
    Parameters that do not count, coefficients of an equation or what `select` leaves out, have the sum of their weighted gradients.
    In a loop of your own: weights = weighting(losses, grads), then update = weighting.combine(rows) of the weighted gradients as rows (1, K, P).
    Each seed has an aggregator of its own. One that draws, as PCGrad does, draws from a stream that the number of the update fixes, the same for all
    seeds, and what it remembers (GradVac, PCD, ExcessMTL) is kept: an interrupted training goes on bitwise, and a seed in a stack is that seed alone.
    Where a memory cannot be kept on disk, as NashMTL's, it begins anew with a warning, and so it does without one where terms join or leave.

    Args:   aggregator: an object that maps (K, P) to (P,), or the name of one of torchjd's. weighting: before it; uniform by default.
    Raises: ValueError where torchjd is not installed, for a name that it does not have or that needs arguments; TypeError for what is no aggregator.
    """

    def __init__(self, aggregator: Any, weighting: Any = None) -> None:
        self.aggregator = _named(aggregator) if isinstance(aggregator, str) else aggregator
        if not callable(self.aggregator) or isinstance(aggregator, Weighting):
            raise TypeError(f"Aggregated: expected an aggregator first, then a weighting, got {aggregator!r}")
        self.weighting = Uniform() if weighting is None else as_weighting(weighting)
        self.calls = 0
        self._own: list[Any] = []  # of each seed
        self._memories: list[Memory] = []  # read from a checkpoint, for the aggregators that the next rows ask for
        self._names: tuple[str, ...] | None = None  # of the terms, in their order
        self._owed = False  # whether weights were given and no update was made of them

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
            raise ValueError("Aggregated: the last update was made without it; the weighted gradients go through combine(rows), (S, K, P) to (S, P)")
        weights = self.weighting(losses, grads, select, probes=probes)
        if self._names not in (None, tuple(losses)):  # an aggregator knows its terms by their place: what it knows of one is not another's
            self._own, self._memories = [], []
        self._names, self._owed = tuple(losses), True
        return weights

    @torch.no_grad()
    def combine(self, rows: Tensor) -> Tensor:
        """Weighted gradients (S, K, P) -> (S, P), each seed by itself; where products of them are not finite the sum, for the guard."""
        if len(self._own) != len(rows):
            self._own = [deepcopy(self.aggregator) for _ in rows]
            for aggregator, memory in zip(self._own, self._memories):
                recall(aggregator, memory, rows.device)
            self._memories = []
        found = []
        for aggregator, matrix in zip(self._own, rows):
            within = bool((matrix @ matrix.mT).isfinite().all())  # a product that overflows would be an error, and end all seeds
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
            warnings.warn(f"{self!r}: what the aggregator remembered is lost; it begins anew at update {self.calls}", stacklevel=2)

    def __repr__(self) -> str:
        name = code_digest(self.aggregator)[:12] if inspect.isfunction(self.aggregator) else re.sub(r" at 0x\w+", "", repr(self.aggregator))
        return f"Aggregated({name}, {known_as(self.weighting)})"


@contextmanager
def _drawing(call: int, device: torch.device) -> Iterator[None]:
    """The global generators of the CPU and of this device have the stream of this call, and afterwards their own again."""
    seed = generator(0, "aggregator", call).initial_seed()
    elsewhere = [] if device.type == "cpu" else [device]
    with torch.random.fork_rng(devices=elsewhere, device_type=device.type if elsewhere else "cuda"):
        torch.default_generator.manual_seed(seed)
        if not elsewhere:
            yield
            return
        with torch.get_device_module(device).device(device):  # of several cards it is this one's
            torch.get_device_module(device).manual_seed(seed)
            yield


def _named(name: str) -> Any:
    try:
        from torchjd import aggregation
    except ImportError:
        raise ValueError('Aggregated: the conflict-resolving aggregators are torchjd\'s; pip install "eddygrad[aggregation]"') from None
    every = {n: found for n, found in vars(aggregation).items() if isinstance(found, type) and issubclass(found, aggregation.Aggregator)}
    kinds = {n: found for n, found in every.items() if not n.endswith("Aggregator")}  # those are bases
    by_name = {n.lower(): found for n, found in kinds.items()}
    if name.lower() not in by_name:
        raise ValueError(f"Aggregated: expected one of {', '.join(sorted(kinds))}, got {name!r}")
    try:
        return by_name[name.lower()]()
    except TypeError as error:
        raise ValueError(f"Aggregated: {name} cannot be made by its name alone ({error}); give the object, torchjd.aggregation.{name}(...)") from None
