"""Measure a lower bound on the time of a workload on this machine. Prints one JSON line.

The bound is the time of its matrix products alone, of its transforms and least memory traffic, or of its operations at the peak rate of this machine.

python benchmarks/limits.py {step-products,update-products,update-peak,flow-stage,wake}
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from kuramoto_sivashinsky_step import bind
from timing import arguments, emit, measure
from torch import Tensor
from workload import BATCH, DEPTH, HORIZON, POINTS, STAGES, WAKE_BOX, WIDTH, update_flops

from eddygrad.runtime.memory import keep_freed_memory
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.spectral.dense_etd import DenseStep
from eddygrad.solver.schemes.spectral.truncated_spectrum import Band
from eddygrad.solver.staggered.boundary_conditions import PERIODIC, Inflow, Outflow, sides_of
from eddygrad.solver.staggered.fast_diagonalisation import Separable, pressure_lines


def options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("kind", choices=["step-products", "update-products", "update-peak", "flow-stage", "wake"])
    parser.add_argument("--batch", type=int, default=1, help="batch of the step")
    parser.add_argument("--order", type=int, default=2)
    parser.add_argument("--grad", default="wig", choices=["wig", "nog"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--n", type=int, default=64, help="points per axis, of flow-stage; along a wake")
    parser.add_argument("--scheme", default="rk4cn", choices=[*STAGES], help="of flow-stage")
    return parser.parse_args()


def step_products(batch: int, order: int) -> Callable[[], Tensor]:
    """Return the matrix products of one dense step, with preallocated results: no squares and no sums."""
    step, _ = bind(batch, order, realisation="dense")
    assert isinstance(step, DenseStep)
    work = [(s.matrix, torch.randn(s.matrix.shape[1], batch), torch.empty(s.matrix.shape[0], batch)) for s in step.stages]

    def run() -> Tensor:
        for matrix, columns, out in work:
            torch.mm(matrix, columns, out=out)
        return work[-1][2]

    return run


def layer_products(inputs: int, outputs: int, seeds: int, points: int, input_gradient: bool = True) -> Callable[[], None]:
    """Return a convolution of kernel size 3 as the product (o x 3i) @ (3i x points) and its two adjoints, with preallocated results.

    Args: inputs, outputs: channels i and o. seeds: stacked networks. points: columns. input_gradient: whether the adjoint of the input is needed.
    """
    weight, column = torch.randn(seeds, outputs, 3 * inputs), torch.randn(seeds, 3 * inputs, points)
    out, d_weight, d_column = torch.randn(seeds, outputs, points), torch.empty_like(weight), torch.empty_like(column)

    def run() -> None:
        torch.bmm(weight, column, out=out)
        torch.bmm(out, column.mT, out=d_weight)
        if input_gradient:
            torch.bmm(weight.mT, out, out=d_column)

    return run


def update_products(grad: str, seeds: int) -> Callable[[], None]:
    """Return the matrix products of the network in one update of all seeds, with nothing in between."""
    points = BATCH * POINTS
    lift_cold, lift = (layer_products(2, WIDTH, seeds, points, g) for g in (False, True))
    middle = [layer_products(WIDTH, WIDTH, seeds, points) for _ in range(2 * DEPTH)]
    drop = layer_products(WIDTH, 1, seeds, points)

    def run() -> None:
        for k in range(HORIZON):
            (lift if grad == "wig" and k else lift_cold)()
            for layer in middle:
                layer()
            drop()

    return run


def peak_rate(n: int = 1536, repetitions: int = 9) -> float:
    """Return the highest float32 rate of a large matrix product [FLOP/s]."""
    a, b, out = torch.randn(n, n), torch.randn(n, n), torch.empty(n, n)
    best = float("inf")
    for _ in range(repetitions + 2):
        start = time.perf_counter()
        torch.mm(a, b, out=out)
        best = min(best, time.perf_counter() - start)
    return 2 * n**3 / best


def stage_transforms(n: int, batch: int, together: int) -> Callable[[], None]:
    """Return the four transforms of a stage, two fields to physical space and two products back, on the modes that the 2/3 rule keeps.

    Args: n: points per axis. batch: samples. together: samples per transform.
    """
    band = Band(Grid((n, n)), 2 / 3)
    spectra = torch.randn(batch // together, 2, together, *band.shape, dtype=torch.complex64)
    fields = torch.randn(batch // together, 2, together, n, n)

    def run() -> None:
        for h, x in zip(spectra, fields):
            band.ifft(h)
            band.fft(x)

    return run


def stage_traffic(n: int, batch: int, together: int) -> Callable[[], None]:
    """Return a copy of the memory that a stage must read and write between its transforms: seven truncated spectra and four fields per sample.

    The stage reads the state and writes two spectra; reads two fields and writes two products; reads two spectra and the state and writes the new
    state. Coefficients and sums of earlier stages are not counted, so the limit is a lower bound.

    Args: n: points per axis. batch: samples. together: samples per copy.
    """
    spectrum = Band(Grid((n, n)), 2 / 3)
    numbers = together * (7 * 2 * n * spectrum.columns + 4 * n * n)
    read, written = torch.randn(batch // together, numbers // 2), torch.empty(batch // together, numbers // 2)

    def run() -> None:
        for source, target in zip(read, written):
            target.copy_(source)

    return run


def flow_stage(args: argparse.Namespace) -> None:
    """Emit the time of the fastest transforms and copies over all partitions of the batch, times the stages of a step."""
    keep_freed_memory()
    stages, steps = STAGES[args.scheme], max(3, int(4e6 / (args.n**2 * args.batch)))
    ways = [together for together in (1, 2, 4, 8, 16) if args.batch % together == 0]
    best: dict[str, dict[str, float]] = {}
    with torch.inference_mode():
        for name, make in (("transforms", stage_transforms), ("traffic", stage_traffic)):
            for together in ways:
                run = make(args.n, args.batch, together)

                def block(run: Callable[[], None] = run) -> None:
                    for _ in range(steps):
                        run()

                result = measure(block, steps, args.repetitions, args.max_seconds / (2 * len(ways)))
                if name not in best or result["seconds"] < best[name]["seconds"]:
                    best[name] = {**result, "together": together}
    seconds = {key: stages * sum(part[key] for part in best.values()) for key in ("seconds", "seconds_min", "seconds_max")}
    parts = {f"{name}_{key}": part[key] for name, part in best.items() for key in ("seconds", "together")}
    settings = {"n": args.n, "batch": args.batch, "scheme": args.scheme, "threads": args.threads}
    emit("ns-step", "limit: transforms, least traffic", seconds, **settings, stage_seconds=seconds["seconds"] / stages, **parts)


def wake_stage(args: argparse.Namespace) -> None:
    """Emit the time of the two pressure solves of a stage with a body and of its least traffic, which reads or writes the velocity six times."""
    keep_freed_memory()
    grid = Grid((args.n, args.n // 2), WAKE_BOX)
    solve = Separable(pressure_lines(grid, sides_of(((Inflow(), Outflow()), PERIODIC), 2)), (0.0, 1.0), torch.float32)
    p, source = torch.randn(args.batch, *grid.shape), torch.randn(args.batch, 6, *grid.shape)
    written, steps = torch.empty_like(source), max(5, int(1e7 / source.numel()))

    def block() -> None:
        with torch.inference_mode():
            for _ in range(steps):
                solve.solved(p)
                solve.solved(p)
                written.copy_(source)

    result = measure(block, steps, args.repetitions, args.max_seconds)
    emit("staggered", "limit: two solves, least traffic", result, n=args.n, batch=args.batch, threads=args.threads)


def main() -> None:
    args = options()
    torch.set_num_threads(args.threads)
    if args.kind in ("flow-stage", "wake"):
        (flow_stage if args.kind == "flow-stage" else wake_stage)(args)
        return
    if args.kind == "update-peak":
        rate, flops = peak_rate(), update_flops(args.grad)
        seconds = {"seconds": flops / rate, "seconds_min": flops / rate, "seconds_max": flops / rate}
        emit("ks-train", "limit: operations at peak rate", seconds, grad=args.grad, flops=flops, gflops=round(rate / 1e9, 1), threads=args.threads)
        return
    steps = 1000 if args.kind == "step-products" else 10
    run = step_products(args.batch, args.order) if args.kind == "step-products" else update_products(args.grad, args.seeds)

    def block() -> None:
        for _ in range(steps):
            run()

    result = measure(block, steps * (1 if args.kind == "step-products" else args.seeds), args.repetitions, args.max_seconds)
    if args.kind == "step-products":
        emit("ks-step", "limit: matrix products alone", result, batch=args.batch, order=args.order, threads=args.threads)
    else:
        flops = update_flops(args.grad)
        gflops = round(flops / result["seconds"] / 1e9, 1)
        emit(
            "ks-train", "limit: network's products alone", result, grad=args.grad, seeds=args.seeds, flops=flops, gflops=gflops, threads=args.threads
        )


if __name__ == "__main__":
    main()
