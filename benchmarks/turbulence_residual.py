"""Time the gradient of the active-turbulence residual with respect to a network's weights, by Taylor polynomials or nested autograd.

The loss is the mean square of the vorticity equation's residual. Prints one JSON line with the time and the peak memory beyond the memory that was
resident before.

python benchmarks/turbulence_residual.py [--way taylor] [--batch 1000] [--compiled]
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import pinn_workload as given
import torch
from matrix_products import products_of
from nested_autograd import PlainNetwork, turbulence_residual
from timing import arguments, available_mb, emit, measure_memory
from torch import Tensor

from eddygrad.pinn.collocation import Collocation, Term
from eddygrad.pinn.network.coordinate_network import CoordinateNetwork
from eddygrad.pinn.partials import VORTICITY, Names
from eddygrad.pinn.points import Points
from eddygrad.runtime.memory import keep_freed_memory
from eddygrad.solver.equations.active_turbulence import ActiveTurbulenceVorticity

Gradient = Callable[[], tuple[Tensor, tuple[Tensor, ...]]]  # the loss and its gradient
NAMES = Names(("x", "y", "t"), ("u", "v"), VORTICITY)
NESTED_MB = 5.7  # measured memory of the nested graph per point, float32


def options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--way", default="taylor", choices=["taylor", "nested"])
    parser.add_argument("--batch", type=int, default=given.TURBULENCE_BATCHES[0], help="points")
    parser.add_argument("--together", type=int, default=None, help="nested: points per gradient; the gradients are summed [all]")
    parser.add_argument("--gradients", type=int, default=3, help="gradients per timed block")
    parser.add_argument("--compiled", action="store_true", help="taylor: fused loops, as in `eddygrad pinn --compiled`")
    parser.add_argument("--freed-memory", default="keep", choices=["keep", "return"], help="keep: as on the command line")
    return parser.parse_args()


def sine_network(layers: tuple[int, ...] = given.TURBULENCE_LAYERS, dtype: torch.dtype = torch.float32) -> CoordinateNetwork:
    """Return the network [3, 100 x 7, 2], its inputs standardised for uniform points in the box."""
    low, high = zip(*given.TURBULENCE_BOX)
    mean, std = [(a + b) / 2 for a, b in zip(low, high)], [(b - a) / math.sqrt(12) for a, b in zip(low, high)]
    return CoordinateNetwork(layers[0], layers[1], len(layers) - 2, layers[-1], "sine", mean=mean, std=std).to(dtype)


def points_of(batch: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return uniform points (batch, 3) of the box."""
    low, high = (torch.tensor(side, dtype=torch.float64) for side in zip(*given.TURBULENCE_BOX))
    return (low + (high - low) * torch.rand(batch, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))).to(dtype)


def by_taylor(network: CoordinateNetwork, points: Tensor) -> Gradient:
    """Return the gradient as a training computes it, from a term of a problem."""
    equation = ActiveTurbulenceVorticity()
    problem = Collocation(network, NAMES, {"vorticity": Term("interior", lambda d, p: equation.residual(d), equation.needs)})
    batch = 0, {"interior": Points(points)}
    weights = list(problem.parameters())

    def gradient() -> tuple[Tensor, tuple[Tensor, ...]]:
        loss = problem.losses(batch)["vorticity"]
        return loss.detach(), torch.autograd.grad(loss, weights)

    return gradient


def by_nested_autograd(network: CoordinateNetwork, points: Tensor, together: int | None = None) -> Gradient:
    """Return the gradient in plain torch; `together` points at a time, whose gradients are summed, to save memory."""
    plain = PlainNetwork.like(network)
    weights = list(plain.parameters())
    parts = points.split(together or len(points))

    def gradient() -> tuple[Tensor, tuple[Tensor, ...]]:
        total, sums = torch.zeros((), dtype=points.dtype), tuple(torch.zeros_like(weight) for weight in weights)
        for part in parts:
            loss = turbulence_residual(plain, part).square().sum() / len(points)
            sums = tuple(a.add_(b) for a, b in zip(sums, torch.autograd.grad(loss, weights)))
            total += loss.detach()
        return total, sums

    return gradient


def build(
    way: str,
    batch: int,
    layers: tuple[int, ...] = given.TURBULENCE_LAYERS,
    dtype: torch.dtype = torch.float32,
    together: int | None = None,
    compiled: bool = False,
) -> Gradient:
    """Return the gradient of one of the two ways.

    Args: way: "taylor" or "nested". batch: points. layers: of the network. dtype: of the network. together: points per gradient of the nested way.
          compiled: whether to fuse loops.
    Raises: MemoryError if the nested way needs more memory than is available.
    """
    network, points = sine_network(layers, dtype), points_of(batch, dtype)
    if way == "taylor":
        network.compiled = compiled
        return by_taylor(network, points)
    needed, free = NESTED_MB * min(batch, together or batch), available_mb()
    if layers == given.TURBULENCE_LAYERS and free is not None and needed > free:
        raise MemoryError(f"turbulence_residual: nested autograd needs {needed:.0f} MB, got {free:.0f} MB available; try --together 1000")
    return by_nested_autograd(network, points, together)


def probe(gradient: Gradient) -> list[float]:
    """Return the logarithms of the loss and of its gradient's norm, so that differences are relative."""
    loss, parts = gradient()
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(part.double()) for part in parts]))
    return [round(math.log(float(value)), 5) for value in (loss, norm)]


def main() -> None:
    args = options()
    torch.set_num_threads(args.threads)
    if args.freed_memory == "keep":
        keep_freed_memory()
    if args.way == "nested" and args.compiled:
        raise ValueError("turbulence_residual: nested autograd is not compiled")
    build(args.way, 8, (3, 4, 4, 2))()  # imports that torch makes at first use must not count as memory
    gradient = build(args.way, args.batch, together=args.together, compiled=args.compiled)
    if args.compiled:
        gradient()  # nor must the memory of the compiler

    def block() -> None:
        for _ in range(args.gradients):
            gradient()

    result = measure_memory(block, args.gradients, args.repetitions, args.max_seconds, least=args.gradients)
    settings = {name: getattr(args, name) for name in ("way", "batch", "together", "threads", "compiled", "freed_memory")}
    counted = {"flops": products_of(gradient).flops, "iterations_per_second": 1 / result["seconds"], "probe": probe(gradient)}
    size = given.parameters(given.TURBULENCE_LAYERS)
    emit("pinn-residual", args.way, result, scheme="vorticity", **settings, **counted, parameters=size, versions=f"torch {torch.__version__}")


if __name__ == "__main__":
    main()
