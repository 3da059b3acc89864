"""The work that ours and the peers do alike: sizes, the first state and what is compared afterwards. numpy only."""

from __future__ import annotations

import math

import numpy as np

POINTS = 48
DOMAIN = 8.0  # L = 2 pi D, the unrolling paper's middle training domain (List et al. 2024)
STEP_DT = 0.1  # the step benchmark
FRAME_DT, SUBSTEPS = 1.0, 2  # the training benchmark: a frame is two ETD1 substeps of h = 0.5
WIDTH, DEPTH, HORIZON, BATCH = 26, 8, 3, 16  # the paper's Kuramoto-Sivashinsky training: 33,125 parameters
PROBE_STEPS = 50


def first_state(batch: int, n: int = POINTS, seed: int = 0) -> np.ndarray:
    """A smooth random state (batch, n), float64: eight Fourier modes with amplitudes ~ N(0, 1) / m and random phases."""
    rng = np.random.default_rng(seed)
    x = np.arange(n) / n * 2 * math.pi
    u = np.zeros((batch, n))
    for m in range(1, 9):
        u += rng.normal(size=(batch, 1)) * np.cos(m * x + rng.uniform(0, 2 * math.pi, size=(batch, 1))) / m
    return u


def probe(u: object) -> list[float]:
    """Four values of the first sample after PROBE_STEPS steps: implementations of one scheme must agree, or they did different work."""
    return [round(float(v), 5) for v in np.asarray(u).reshape(-1)[:24:6]]


def update_flops(grad: str, width: int = WIDTH, depth: int = DEPTH, horizon: int = HORIZON, batch: int = BATCH, n: int = POINTS) -> int:
    """Floating point operations of the network's matrix products in one training update.

    A convolution of kernel size 3 with i inputs and o outputs takes 6 i o per point forward, as many for the gradient of its weights and as
    many for that of its input; the first layer's input gradient is needed by WIG only, from the second step on. Solver, activations and
    optimiser are left out: the limit errs on the low side.
    """
    points = batch * n
    lift, middle, drop = 6 * 2 * width * points, 2 * depth * 6 * width * width * points, 6 * width * points
    input_gradients = lift * (horizon - 1) if grad == "wig" else 0
    return horizon * (2 * lift + 3 * middle + 3 * drop) + input_gradients
