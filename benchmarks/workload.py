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

# Kolmogorov flow on [0, 2 pi]^2: w_t + (u . grad) w = nu lap w - drag w - 4 cos(4 y), the curl of the force (sin(4 y), 0). w = v_x - u_y.
VISCOSITY, DRAG, FORCING_MODE, FORCING_AMPLITUDE = 1e-3, 0.1, 4, 1.0
FLOW_DT, FLOW_PROBE_STEPS = 1e-3, 20
STAGES = {"rk4cn": 5, "etdrk2": 2, "etdrk4": 4}  # evaluations of the nonlinear term per step
GRADIENT_POINTS, GRADIENT_BATCH = 128, 4

# Finite volumes. Periodic: the vorticity below as velocities on the faces, without force or drag, viscosity 1e-3. The wake of a cylinder in a box
# that is periodic across, without viscosity but the scheme's own: a step moves the inflow by .64 cells.
FACES_DT, FACES_GRADIENT_STEPS = 2e-3, 4
WAKE_BOX, WAKE_CENTRE, WAKE_RADIUS, WAKE_SPEED, WAKE_SPIN_UP = (200.0, 100.0), (50.0, 50.0), 10.0, 1.0, 20


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


def first_vorticity(batch: int, n: int, seed: int = 0, modes: int = 4, speed: float = 1.0) -> np.ndarray:
    """A smooth random vorticity (batch, n, n) [1/s], float64: all modes up to `modes` per axis, with velocities of root mean square `speed`.

    Every library keeps modes up to 0.3 n at least on every axis; from 64 points on these and what they make within the probe's steps lie well
    inside, so the different masks make no difference. Amplitudes fall as 1 / k^2; the state does not depend on n but by where it is sampled.
    """
    rng = np.random.default_rng(seed)
    x = np.arange(n) / n * 2 * math.pi
    w, energy = np.zeros((batch, n, n)), np.zeros((batch, 1, 1))
    for kx in range(-modes, modes + 1):
        for ky in range(modes + 1):
            if ky == 0 and kx <= 0:
                continue
            square = kx * kx + ky * ky
            amplitude = rng.normal(size=(batch, 1, 1)) / square
            w += amplitude * np.cos(kx * x[:, None] + ky * x + rng.uniform(0, 2 * math.pi, size=(batch, 1, 1)))
            energy += amplitude**2 / (2 * square)
    return w * speed / np.sqrt(energy)


def wake_dt(n: int) -> float:
    """Of the wake with n points along [s]."""
    return 128.0 / n


def first_faces(batch: int, n: int) -> np.ndarray:
    """The velocities (batch, 2, n, n) of `first_vorticity` on the upper faces of the cells, float64, without discrete divergence.

    u = psi_y, v = -psi_x by differences of the stream function between the corners of the cells, lap psi = -w.
    """
    k = np.fft.fftfreq(n, 1 / n)
    square = k[:, None] ** 2 + k**2
    square[0, 0] = 1
    psi = np.fft.ifft2(np.fft.fft2(first_vorticity(batch, n)) / square).real
    psi, h = np.roll(psi, (-1, -1), (1, 2)), 2 * math.pi / n  # [i, j] at the upper corner of cell (i, j)
    return np.stack([psi - np.roll(psi, 1, 2), np.roll(psi, 1, 1) - psi], 1) / h


def faces_probe(u: object, n: int) -> list[float]:
    """Root mean square of both components of the last sample, and u at two places: schemes of one kind agree to some digits."""
    last = np.asarray(u, dtype=np.float64).reshape(-1, 2, n, n)[-1]
    return [round(float(v), 5) for v in (*np.sqrt((last**2).mean((1, 2))), last[0, 0, 0], last[0, n // 2, n // 4])]


def flow_steps(n: int, batch: int, scheme: str) -> int:
    """Steps per timed block: about as much work in every block, three steps at least."""
    return max(3, int(4e6 / (n * n * batch * STAGES[scheme])))


def flow_probe(w: object, n: int) -> list[float]:
    """Four values of the last sample, at x = 0, pi/2, pi, 3 pi/2 and y = x / 2, where the forcing is extremal. For vorticities and gradients."""
    last = np.asarray(w).reshape(-1, n, n)[-1]
    return [round(float(last[i * n // 4, i * n // 8]), 5) for i in range(4)]


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
