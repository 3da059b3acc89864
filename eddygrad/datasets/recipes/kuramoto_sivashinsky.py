"""The Kuramoto-Sivashinsky data of the unrolling paper: training and test set, reference and coarse solver.

List, Chen, Bali and Thuerey 2024 (arXiv 2402.12971), settings as in the authors' code: N = 48 points, no dealiasing, substep h = 0.5, a frame is two
substeps. Reference ETDRK2 and coarse ETD1 share grid and substep, so the difficulty is the temporal order alone.
"""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor

from eddygrad.datasets.recipes.recipe import Group, Recipe
from eddygrad.runtime.randomness import generator
from eddygrad.solver.equations.kuramoto_sivashinsky import KuramotoSivashinsky
from eddygrad.solver.grid import Grid
from eddygrad.solver.initial import KS_TRAINING_AMPLITUDES, draw_test_amplitudes, kuramoto_sivashinsky_test, kuramoto_sivashinsky_training
from eddygrad.solver.schemes.spectral.etdrk import ETDRK

POINTS = 48
UNIT = 8.0  # domains are given as D/8, L = 2 pi D
TRAINING_DOMAINS = (0.9, 0.95, 1.0, 1.1, 1.2, 1.3)
EXTRAPOLATION, INTERPOLATION = (1.40, 0.85), (1.15, 0.93)
Kind = Literal["training", "extrapolation", "interpolation"]


def grid() -> Grid:
    """48 points on L = 2 pi 8; params["length"] replaces the length."""
    return Grid((POINTS,), 2 * math.pi * UNIT)


def reference() -> ETDRK:
    """ETDRK2 with h = 0.5: the discrete map that counts as truth."""
    return ETDRK(KuramotoSivashinsky(), grid(), dt=1.0, order=2, substeps=2)


def coarse() -> ETDRK:
    """ETD1 with h = 0.5: the solver to be corrected."""
    return ETDRK(KuramotoSivashinsky(), grid(), dt=1.0, order=1, substeps=2)


def half_step() -> ETDRK:
    """ETD1 with h = 0.25: what the coarse solver's scheme gives for twice its cost."""
    return ETDRK(KuramotoSivashinsky(), grid(), dt=1.0, order=1, substeps=4)


def domain(scale: float, kind: Kind, samples: int) -> Group:
    """Trajectories on one domain: D = 8 * scale, L = 2 pi D."""
    return Group(f"D/8={scale:.2f}", kind, {"length": 2 * math.pi * UNIT * scale}, samples)


def _state(group: Group, index: int, seed: int) -> Tensor:
    D = group.params["length"] / (2 * math.pi)
    if group.kind == "training":
        return kuramoto_sivashinsky_training(D, *KS_TRAINING_AMPLITUDES[index], POINTS)
    return kuramoto_sivashinsky_test(D, *draw_test_amplitudes(generator(seed, f"kuramoto-sivashinsky test state {group.name}", index)), POINTS)


def training(frames: int = 5000, domains: tuple[float, ...] = TRAINING_DOMAINS, warmup: int = 200) -> Recipe:
    """The paper's training set: six domains D = 8 {.9, .95, 1, 1.1, 1.2, 1.3} with six states each, 200 frames dropped, 5000 kept.

    The paper's runs use a fraction .1 to .25 of it, from the start: `Dataset.take`. At D/8 = .95 and now and then at 1 the chaos of the discrete
    map is transient: after some hundred to thousand frames trajectories settle on a regular state with rms 1.75 (the attractor's is 1.3).
    """
    count = len(KS_TRAINING_AMPLITUDES)
    groups = tuple(domain(scale, "training", count) for scale in domains)
    return Recipe("kuramoto-sivashinsky/training", reference(), groups, _state, frames, warmup)


def testing(
    starts_per_domain: int = 10,
    horizon: int = 12,
    kind: Literal["all", "extrapolation", "interpolation"] = "all",
    seed: int = 0,
    warmup: int = 400,
) -> Recipe:
    """The paper's test set: D = 8 {1.40, .85} (extrapolation) and 8 {1.15, .93} (interpolation), horizon + 1 frames from absolute frame 400.

    Args:    starts_per_domain: random states per domain, 10 or 20 in the paper; more keep the first ones.
    Raises:  ValueError for another kind, or no start.
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
    return Recipe("kuramoto-sivashinsky/testing", reference(), tuple(groups), _state, horizon + 1, warmup, seed=seed)
