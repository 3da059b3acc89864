"""The classical solver beside the networks: the problem of `poisson`, k = 6, by differences and a sine transform, its error and time by grid.

Five points, of second order, or the Mehrstellen scheme's nine, of fourth; float64, right-hand side and one direct solve by scipy's sine
transform on one thread. The error is the networks': |u - exact| / |exact| on the nodes, the solver's own. One JSON line a grid.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import numpy as np
import pinn_workload as given
from scipy.fft import dstn, idstn
from timing import arguments, emit, measure

ORDERS = {2: "five points", 4: "nine points"}


def options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--order", type=int, default=2, choices=list(ORDERS))
    parser.add_argument("--nodes", type=int, nargs="+", default=[17, 33, 65, 129, 257], help="a side, the boundary's counted")
    return parser.parse_args()


def solver(nodes: int, order: int) -> tuple[Callable[[], np.ndarray], np.ndarray]:
    """A solve from known values on the boundary and of the source everywhere, and the exact values at the inner nodes."""
    line = np.linspace(0, 1, nodes)
    grid = np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2)
    exact, source = (f(grid).reshape(nodes, nodes) for f in (given.exact, given.source))
    boundary, h = exact.copy(), line[1]
    boundary[1:-1, 1:-1] = 0
    pair = 2 * np.cos(np.pi * np.arange(1, nodes - 1) / (nodes - 1))  # what the two neighbours in an eigenvector's line sum to
    along, across = pair[:, None], pair[None, :]

    def by_five() -> np.ndarray:
        right = h**2 * source[1:-1, 1:-1] - _neighbours(boundary)
        return _turned(right, along + across - 4)

    def by_nine() -> np.ndarray:
        right = h**2 / 2 * (8 * source[1:-1, 1:-1] + _neighbours(source)) - 4 * _neighbours(boundary) - _corners(boundary)
        return _turned(right, 4 * (along + across) + along * across - 20)

    return by_five if order == 2 else by_nine, exact[1:-1, 1:-1]


def _turned(right: np.ndarray, eigenvalues: np.ndarray) -> np.ndarray:
    found: np.ndarray = idstn(dstn(right, type=1) / eigenvalues, type=1)
    return found


def _neighbours(u: np.ndarray) -> np.ndarray:
    return u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2]


def _corners(u: np.ndarray) -> np.ndarray:
    return u[2:, 2:] + u[2:, :-2] + u[:-2, 2:] + u[:-2, :-2]


def main() -> None:
    args = options()
    for nodes in args.nodes:
        solve, exact = solver(nodes, args.order)
        error = float(np.linalg.norm(solve() - exact) / np.linalg.norm(exact))
        again = max(1, math.ceil(2e5 / nodes**2))

        def block(solve: Callable[[], np.ndarray] = solve, again: int = again) -> None:
            for _ in range(again):
                solve()

        result = measure(block, again, args.repetitions, args.max_seconds)
        emit("pinn-poisson", f"classical: {ORDERS[args.order]}", result, scheme="k=6", nodes=nodes, error=error, threads=1)


if __name__ == "__main__":
    main()
