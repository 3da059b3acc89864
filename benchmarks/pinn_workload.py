"""Physics-informed work that ours and all peers have in common: sizes, points and initial weights. Imports numpy only."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

# Poisson on the unit square, u_xx + u_yy = -2 w^2 cos(w x) sin(w y), w = k pi: points, network and optimiser of Maddu et al. 2021, sec. 3.1.
WAVENUMBER, NODES, INTERIOR = 6, 100, 2500
POISSON_LAYERS = (2, 50, 50, 50, 50, 50, 1)
LEARNING_RATE, EVERY, STACK = 1e-3, 5, 5
PROBE_UPDATES = 20

# Active turbulence, velocities from a network of (x, y, t): a quarter of the periodic box along each side and 50 frames; sec. 3.3 there.
TURBULENCE_LAYERS = (3, 100, 100, 100, 100, 100, 100, 100, 2)
TURBULENCE_BOX = ((math.pi / 2, math.pi), (math.pi / 2, math.pi), (4.20, 4.69))
TURBULENCE_BATCHES = (1000, 4000)


def exact(x: np.ndarray) -> np.ndarray:
    """Return u at points (N, 2)."""
    w = WAVENUMBER * math.pi
    return np.cos(w * x[:, 0]) * np.sin(w * x[:, 1])


def source(x: np.ndarray) -> np.ndarray:
    """Return u_xx + u_yy at points (N, 2)."""
    return -2 * (WAVENUMBER * math.pi) ** 2 * exact(x)


def interior_points(seed: int = 0) -> np.ndarray:
    """Return 2500 different inner nodes of the 100 x 100 grid, (2500, 2), float64."""
    line = np.linspace(0, 1, NODES)[1:-1]
    nodes = np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2)
    return nodes[np.random.default_rng(seed).permutation(len(nodes))[:INTERIOR]]


def boundary_points() -> np.ndarray:
    """Return the nodes of the four sides, one side after the other, (400, 2); corners occur twice, as in the original."""
    line, ends = np.linspace(0, 1, NODES), (np.zeros(NODES), np.ones(NODES))
    return np.concatenate([*(np.stack([line, end], 1) for end in ends), *(np.stack([end, line], 1) for end in ends)])


def standard() -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each coordinate over all points, to standardise the inputs."""
    points = np.concatenate([interior_points(), boundary_points()])
    return points.mean(0), points.std(0, ddof=1)


def parameters(layers: tuple[int, ...]) -> int:
    """Return the number of parameters of a dense network."""
    return sum((i + 1) * o for i, o in pairwise(layers))


def first_weights(layers: tuple[int, ...], gain: float, seed: int = 0) -> list[np.ndarray]:
    """Return the initial weights of each layer (in, out), float64: normal, with Xavier's variance. Biases are zero."""
    rng = np.random.default_rng(seed)
    return [gain * math.sqrt(2 / (i + o)) * rng.normal(size=(i, o)) for i, o in pairwise(layers)]


def poisson_probe(pde: float, boundary: float) -> list[float]:
    """Return the logarithms of both losses, so that differences are relative."""
    return [round(math.log(pde), 5), round(math.log(boundary), 5)]


def taylor_flops(layers: tuple[int, ...], points: int, coefficients: int, entering: int, leaving: int) -> int:
    """Return the floating-point operations of the matrix products of one Taylor pass and its gradient with respect to the weights.

    A layer of i inputs and o outputs takes 2 i o operations per point and coefficient forward, as many for the gradient of its weights and as many
    for the gradient of its input, which the first layer does not need. Activations are not counted.

    Args:
        layers:       widths of the network.
        points:       number of points.
        coefficients: Taylor coefficients of the inner layers.
        entering:     coefficients of the coordinates that are not zero.
        leaving:      coefficients of the outputs that are needed.
    """
    (first, *rest, last), unit = list(pairwise(layers)), 2 * points
    inner = 3 * coefficients * sum(i * o for i, o in rest)
    return unit * (2 * entering * math.prod(first) + inner + 3 * leaving * math.prod(last))
