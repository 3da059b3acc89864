"""Work that ours and all peers have in common: sizes, initial states, and values that are compared afterwards. Imports numpy only."""

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

# Finite volumes. Periodic flow: the velocity of `first_vorticity` on the faces, without force or drag, viscosity 1e-3. Wake of a cylinder: periodic
# in y, no viscosity except the numerical one; the inflow moves by .64 cells per step.
FACES_DT, FACES_GRADIENT_STEPS = 2e-3, 4
WAKE_BOX, WAKE_CENTRE, WAKE_RADIUS, WAKE_SPEED, WAKE_SPIN_UP = (200.0, 100.0), (50.0, 50.0), 10.0, 1.0, 20


def first_state(batch: int, n: int = POINTS, seed: int = 0) -> np.ndarray:
    """Return a smooth random state (batch, n), float64: eight Fourier modes with amplitudes ~ N(0, 1) / m and random phases."""
    rng = np.random.default_rng(seed)
    x = np.arange(n) / n * 2 * math.pi
    u = np.zeros((batch, n))
    for m in range(1, 9):
        u += rng.normal(size=(batch, 1)) * np.cos(m * x + rng.uniform(0, 2 * math.pi, size=(batch, 1))) / m
    return u


def probe(u: object) -> list[float]:
    """Return four values of the first sample, to be taken after PROBE_STEPS steps. Implementations of one scheme must agree."""
    return [round(float(v), 5) for v in np.asarray(u).reshape(-1)[:24:6]]


def first_vorticity(batch: int, n: int, seed: int = 0, modes: int = 4, speed: float = 1.0) -> np.ndarray:
    """Return a smooth random vorticity (batch, n, n) [1/s], float64, with modes up to `modes` per axis and amplitudes ~ 1 / k^2.

    All libraries keep the modes up to 0.3 n or more on each axis. From 64 points on, the modes that are excited within the steps of the probe lie far
    below, so the different dealiasing masks do not matter. For all n it is the same field, sampled on n^2 points.

    Args: speed: root mean square of the velocity.
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
    """Return the time step of the wake with n points along x [s]."""
    return 128.0 / n


def first_faces(batch: int, n: int) -> np.ndarray:
    """Return the velocities of `first_vorticity` on the upper faces of the cells, (batch, 2, n, n), float64, with zero discrete divergence.

    u = psi_y and v = -psi_x are differences of the stream function at the cell corners, lap psi = -w.
    """
    k = np.fft.fftfreq(n, 1 / n)
    square = k[:, None] ** 2 + k**2
    square[0, 0] = 1
    psi = np.fft.ifft2(np.fft.fft2(first_vorticity(batch, n)) / square).real
    psi, h = np.roll(psi, (-1, -1), (1, 2)), 2 * math.pi / n  # psi[i, j] is at the upper corner of cell (i, j)
    return np.stack([psi - np.roll(psi, 1, 2), np.roll(psi, 1, 1) - psi], 1) / h


def faces_probe(u: object, n: int) -> list[float]:
    """Return the root mean square of both components of the last sample and u at two points. Schemes of one kind agree to a few digits."""
    last = np.asarray(u, dtype=np.float64).reshape(-1, 2, n, n)[-1]
    return [round(float(v), 5) for v in (*np.sqrt((last**2).mean((1, 2))), last[0, 0, 0], last[0, n // 2, n // 4])]


def flow_steps(n: int, batch: int, scheme: str) -> int:
    """Return the steps per timed block, at least three, so that all blocks have about the same work."""
    return max(3, int(4e6 / (n * n * batch * STAGES[scheme])))


def flow_probe(w: object, n: int) -> list[float]:
    """Return four values of the last sample (vorticity or gradient) at x = 0, pi/2, pi, 3 pi/2 and y = x / 2, where the forcing is extremal."""
    last = np.asarray(w).reshape(-1, n, n)[-1]
    return [round(float(last[i * n // 4, i * n // 8]), 5) for i in range(4)]


def update_flops(grad: str, width: int = WIDTH, depth: int = DEPTH, horizon: int = HORIZON, batch: int = BATCH, n: int = POINTS) -> int:
    """Return the floating-point operations of the network's matrix products in one training update.

    A convolution of kernel size 3 with i inputs and o outputs takes 6 i o operations per point forward, as many for the gradient of its weights and
    as many for the gradient of its input. Only WIG needs the input gradient of the first layer, from the second step on. Solver, activations and
    optimiser are not counted, so the limit is a lower bound.

    Args: grad: "wig" or "nog". width, depth: of the network. horizon: unrolled steps. batch: samples. n: grid points.
    """
    points = batch * n
    lift, middle, drop = 6 * 2 * width * points, 2 * depth * 6 * width * width * points, 6 * width * points
    input_gradients = lift * (horizon - 1) if grad == "wig" else 0
    return horizon * (2 * lift + 3 * middle + 3 * drop) + input_gradients
