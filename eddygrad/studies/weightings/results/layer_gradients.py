"""How the gradients of the terms are distributed in every layer: the diagnosis of Maddu et al. 2021, fig. 2, of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from eddygrad.studies.shared.strict_json import Array, Entry
from eddygrad.training.gradient_diagnostics import BINS, REACH


@dataclass(frozen=True)
class Spread:
    """A tensor's gradient of one term, over all seeds: its standard deviation, how often g / std falls in each bin, and of how many numbers.

    No counts where the deviation is zero.
    """

    std: float
    counts: Array
    size: int


@dataclass(frozen=True)
class Layers:
    """A diagnosis of a run.

    Args: step: updates then. weights: of the terms, typical over seeds. spreads: term -> tensor -> its gradient.
    """

    step: int
    weights: Mapping[str, float]
    spreads: Mapping[str, Mapping[str, Spread]]

    @property
    def tensors(self) -> tuple[str, ...]:
        """Those that are matrices of weights, in their order; of a network that names none so, all."""
        every = dict.fromkeys(name for parts in self.spreads.values() for name in parts)
        return tuple(name for name in every if "weights." in name) or tuple(every)

    def density(self, term: str, tensor: str) -> tuple[Array, Array] | None:
        """lam g of a term in a tensor, lam its typical weight: edges of the bins, in units of the widest of all terms there, and the density in them.

        It integrates to the share within five of the term's own deviations. None where the term has no gradient in it, or no weight.
        """
        widths = {name: self.weights.get(name, 1.0) * parts[tensor].std for name, parts in self.spreads.items() if tensor in parts}
        if not widths.get(term, 0.0) > 0:
            return None
        spread = self.spreads[term][tensor]
        edges = np.linspace(-REACH, REACH, BINS + 1) * widths[term] / max(widths.values())
        return edges, spread.counts / (spread.size * np.diff(edges))


def read(entry: Entry) -> tuple[Layers, ...]:
    """Those that RUN.json keeps. Raises ValueError, one line, for what is not as it should be."""
    found = entry.sequence("layers") if "layers" in entry.values else []
    return tuple(_read(Entry(entry.path, f"{entry.where}layers[{i}].", each)) for i, each in enumerate(found))


def _read(found: Entry) -> Layers:
    weights = found.child("weights")
    typical = {name: _typical(weights, name) for name in weights.values}
    gradients = found.child("gradients")
    spreads = {term: {name: _spread(gradients.child(term).child(name)) for name in gradients.child(term).values} for term in gradients.values}
    return Layers(int(found.number("step")), typical, spreads)


def _typical(weights: Entry, name: str) -> float:
    """Geometric mean over seeds; one number may stand for all."""
    values = weights.array(name, (None,)) if isinstance(weights.get(name), list) else np.array([weights.number(name)])
    known = values[np.isfinite(values) & (values > 0)]
    return float(np.exp(np.log(known).mean())) if known.size else 0.0


def _spread(entry: Entry) -> Spread:
    counts = entry.array("counts", (None,), finite=True)
    if counts.size not in (0, BINS):
        raise entry.fail("counts", f"{BINS} counts, or none", f"{counts.size}")
    return Spread(entry.number("std"), counts, int(entry.number("size")))
