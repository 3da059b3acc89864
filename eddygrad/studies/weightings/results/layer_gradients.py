"""Distributions of the loss terms' gradients in every layer of the network, as in Maddu et al. 2021, fig. 2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from eddygrad.studies.shared.strict_json import Array, Entry
from eddygrad.training.gradient_diagnostics import BINS, REACH


@dataclass(frozen=True)
class GradientSpread:
    """The distribution of one term's gradient in one parameter tensor, over all seeds.

    Args:
        std:    its standard deviation.
        counts: how many entries of g / std fall into each bin (BINS,); empty if the deviation is zero.
        size:   number of entries, those outside the bins included.
    """

    std: float
    counts: Array
    size: int


@dataclass(frozen=True)
class LayerGradients:
    """The gradients of a run in every layer at one update.

    Args:
        step:    number of updates made.
        weights: term -> geometric mean of its weight over seeds.
        spreads: term -> name of a parameter tensor -> distribution of the gradient.
    """

    step: int
    weights: Mapping[str, float]
    spreads: Mapping[str, Mapping[str, GradientSpread]]

    @property
    def tensors(self) -> tuple[str, ...]:
        """Names of the weight matrices, in their order; all tensors of a network without tensors called "weights"."""
        every = dict.fromkeys(name for parts in self.spreads.values() for name in parts)
        return tuple(name for name in every if "weights." in name) or tuple(every)

    def density(self, term: str, tensor: str) -> tuple[Array, Array] | None:
        """Return the density of the weighted gradient lam g of a term in a tensor, lam being the term's typical weight.

        The density integrates to the share of entries within five standard deviations of the term itself.

        Args:    term: name of the term. tensor: name of the parameter tensor.
        Returns: edges of the bins (BINS + 1,), in standard deviations of the widest weighted term in this tensor, and the density (BINS,);
                 None if the term has no gradient in the tensor, or no weight.
        """
        widths = {name: self.weights.get(name, 1.0) * parts[tensor].std for name, parts in self.spreads.items() if tensor in parts}
        if not widths.get(term, 0.0) > 0:
            return None
        spread = self.spreads[term][tensor]
        edges = np.linspace(-REACH, REACH, BINS + 1) * widths[term] / max(widths.values())
        return edges, spread.counts / (spread.size * np.diff(edges))


def read(entry: Entry) -> tuple[LayerGradients, ...]:
    """Return the diagnoses that RUN.json holds, if any. Raises: ValueError, one line, for an entry that does not follow the schema."""
    diagnoses = entry.sequence("layers") if "layers" in entry.values else []
    return tuple(_read(Entry(entry.path, f"{entry.where}layers[{i}].", values)) for i, values in enumerate(diagnoses))


def _read(diagnosis: Entry) -> LayerGradients:
    weights = diagnosis.child("weights")
    typical = {name: _typical(weights, name) for name in weights.values}
    gradients = diagnosis.child("gradients")
    spreads = {term: {name: _spread(gradients.child(term).child(name)) for name in gradients.child(term).values} for term in gradients.values}
    return LayerGradients(int(diagnosis.number("step")), typical, spreads)


def _typical(weights: Entry, name: str) -> float:
    """Return the geometric mean of a weight over seeds; the file may hold one number for all seeds."""
    values = weights.array(name, (None,)) if isinstance(weights.get(name), list) else np.array([weights.number(name)])
    known = values[np.isfinite(values) & (values > 0)]
    return float(np.exp(np.log(known).mean())) if known.size else 0.0


def _spread(entry: Entry) -> GradientSpread:
    counts = entry.array("counts", (None,), finite=True)
    if counts.size not in (0, BINS):
        raise entry.fail("counts", f"{BINS} counts, or none", f"{counts.size}")
    return GradientSpread(entry.number("std"), counts, int(entry.number("size")))
