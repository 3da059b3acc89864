"""Kuramoto-Sivashinsky data of the unrolling paper: training and test set, reference and coarse solver.

List, Chen, Bali and Thuerey 2024 (arXiv 2402.12971), with the settings of the authors' code: 48 points, no dealiasing, substep h = 0.5, two substeps
per frame. The reference (ETDRK2) and the coarse solver (ETD1) share grid and substep, so they differ in temporal order alone.
"""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor

from eddygrad.datasets.recipes.recipe import DatasetRecipe, Group
from eddygrad.runtime.randomness import generator
from eddygrad.solver.equations.kuramoto_sivashinsky import KuramotoSivashinsky
from eddygrad.solver.grid import Grid
from eddygrad.solver.initial import KS_TRAINING_AMPLITUDES, draw_test_amplitudes, kuramoto_sivashinsky_test, kuramoto_sivashinsky_training
from eddygrad.solver.schemes.spectral.etdrk import ETDRK

POINTS = 48
UNIT = 8.0  # domain sizes are given as D / 8; the length is L = 2 pi D
TRAINING_DOMAINS = (0.9, 0.95, 1.0, 1.1, 1.2, 1.3)
EXTRAPOLATION, INTERPOLATION = (1.40, 0.85), (1.15, 0.93)
Kind = Literal["training", "extrapolation", "interpolation"]


def grid() -> Grid:
    """Return the grid of 48 points on L = 2 pi 8; params["length"] replaces the length."""
    return Grid((POINTS,), 2 * math.pi * UNIT)


def reference() -> ETDRK:
    """Return ETDRK2 with h = 0.5, whose discrete map is the ground truth."""
    return ETDRK(KuramotoSivashinsky(), grid(), dt=1.0, order=2, substeps=2)


def coarse() -> ETDRK:
    """Return ETD1 with h = 0.5, the solver to be corrected."""
    return ETDRK(KuramotoSivashinsky(), grid(), dt=1.0, order=1, substeps=2)


def half_step() -> ETDRK:
    """Return ETD1 with h = 0.25: the coarse scheme at twice its cost."""
    return ETDRK(KuramotoSivashinsky(), grid(), dt=1.0, order=1, substeps=4)


def domain(scale: float, kind: Kind, samples: int) -> Group:
    """Return a group of trajectories on one domain.

    Args:
        scale:   D / 8; the domain length is L = 2 pi D.
        kind:    purpose of the trajectories.
        samples: number of trajectories.
    """
    return Group(f"D/8={scale:.2f}", kind, {"length": 2 * math.pi * UNIT * scale}, samples)


def _state(group: Group, index: int, seed: int) -> Tensor:
    D = group.params["length"] / (2 * math.pi)
    if group.kind == "training":
        return kuramoto_sivashinsky_training(D, *KS_TRAINING_AMPLITUDES[index], POINTS)
    return kuramoto_sivashinsky_test(D, *draw_test_amplitudes(generator(seed, f"kuramoto-sivashinsky test state {group.name}", index)), POINTS)


def training(frames: int = 5000, domains: tuple[float, ...] = TRAINING_DOMAINS, warmup: int = 200) -> DatasetRecipe:
    """Return the recipe of the paper's training set: six domains D = 8 {.9, .95, 1, 1.1, 1.2, 1.3} with six initial states each.

    The paper trains on the first .1 to .25 of each trajectory: see `Dataset.take`. At D / 8 = .95, and sometimes at 1, the chaos of the discrete map
    is transient: after some hundred to a thousand frames a trajectory settles on a regular state with rms 1.75, while the attractor has 1.3.

    Args:
        frames:  frames kept per trajectory.
        domains: values of D / 8.
        warmup:  frames dropped at the start.
    """
    count = len(KS_TRAINING_AMPLITUDES)
    groups = tuple(domain(scale, "training", count) for scale in domains)
    return DatasetRecipe("kuramoto-sivashinsky/training", reference(), groups, _state, frames, warmup)


def testing(
    starts_per_domain: int = 10,
    horizon: int = 12,
    kind: Literal["all", "extrapolation", "interpolation"] = "all",
    seed: int = 0,
    warmup: int = 400,
) -> DatasetRecipe:
    """Return the recipe of the paper's test set: D = 8 {1.40, .85} (extrapolation) and D = 8 {1.15, .93} (interpolation).

    Args:
        starts_per_domain: random initial states per domain, 10 or 20 in the paper; a larger number keeps the earlier ones.
        horizon:           frames after the first; horizon + 1 frames are kept.
        kind:              which domains.
        seed:              of the initial states.
        warmup:            frames dropped at the start.
    Raises: ValueError for an unknown kind, no initial state, or a negative horizon.
    """
    if kind not in ("all", "extrapolation", "interpolation"):
        raise ValueError(f"testing: kind must be 'all', 'extrapolation' or 'interpolation', got {kind!r}")
    if starts_per_domain < 1 or horizon < 0:
        raise ValueError(f"testing: needs starts_per_domain >= 1 and horizon >= 0, got {starts_per_domain} and {horizon}")
    groups: list[Group] = []
    if kind != "interpolation":
        groups += [domain(scale, "extrapolation", starts_per_domain) for scale in EXTRAPOLATION]
    if kind != "extrapolation":
        groups += [domain(scale, "interpolation", starts_per_domain) for scale in INTERPOLATION]
    return DatasetRecipe("kuramoto-sivashinsky/testing", reference(), tuple(groups), _state, horizon + 1, warmup, seed=seed)
