"""The machine's limit for a workload: its matrix products alone, its transforms and least memory traffic, or its operations at the highest rate
this machine shows. One JSON line."""

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
    parser.add_argument("--batch", type=int, default=1, help="of the step")
    parser.add_argument("--order", type=int, default=2)
    parser.add_argument("--grad", default="wig", choices=["wig", "nog"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--n", type=int, default=64, help="points per axis, of flow-stage; along a wake")
    parser.add_argument("--scheme", default="rk4cn", choices=[*STAGES], help="of flow-stage")
    return parser.parse_args()


def step_products(batch: int, order: int) -> Callable[[], Tensor]:
    """The products of one dense step into given memory: no squares, no sums, no loop over stages but this."""
    step, _ = bind(batch, order, realisation="dense")
    assert isinstance(step, DenseStep)
    work = [(s.matrix, torch.randn(s.matrix.shape[1], batch), torch.empty(s.matrix.shape[0], batch)) for s in step.stages]

    def run() -> Tensor:
        for matrix, columns, out in work:
            torch.mm(matrix, columns, out=out)
        return work[-1][2]

    return run


def layer_products(inputs: int, outputs: int, seeds: int, points: int, input_gradient: bool = True) -> Callable[[], None]:
    """One convolution of kernel size 3 as a product, and its two adjoints, into given memory: (o x 3i) @ (3i x points)."""
    weight, column = torch.randn(seeds, outputs, 3 * inputs), torch.randn(seeds, 3 * inputs, points)
    out, d_weight, d_column = torch.randn(seeds, outputs, points), torch.empty_like(weight), torch.empty_like(column)

    def run() -> None:
        torch.bmm(weight, column, out=out)
        torch.bmm(out, column.mT, out=d_weight)
        if input_gradient:
            torch.bmm(weight.mT, out, out=d_column)

    return run


def update_products(grad: str, seeds: int) -> Callable[[], None]:
    """The network's products of one update of all seeds: nothing between them."""
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
    """The highest float32 rate of a large matrix product [FLOP/s]."""
    a, b, out = torch.randn(n, n), torch.randn(n, n), torch.empty(n, n)
    best = float("inf")
    for _ in range(repetitions + 2):
        start = time.perf_counter()
        torch.mm(a, b, out=out)
        best = min(best, time.perf_counter() - start)
    return 2 * n**3 / best


def stage_transforms(n: int, batch: int, together: int) -> Callable[[], None]:
    """The four transforms of a stage on the band that 2/3 keeps, `together` samples at a time: two fields there, two products back."""
    band = Band(Grid((n, n)), 2 / 3)
    spectra = torch.randn(batch // together, 2, together, *band.shape, dtype=torch.complex64)
    fields = torch.randn(batch // together, 2, together, n, n)

    def run() -> None:
        for h, x in zip(spectra, fields):
            band.ifft(h)
            band.fft(x)

    return run


def stage_traffic(n: int, batch: int, together: int) -> Callable[[], None]:
    """What a stage must read and write between its transforms, copied: seven spectra on the band and four fields of every sample.

    The state is read and two spectra written; two fields read and two products written; two spectra and the state read, the new state written.
    Coefficients and the sums of earlier stages are left out: the limit errs on the low side.
    """
    spectrum = Band(Grid((n, n)), 2 / 3)
    numbers = together * (7 * 2 * n * spectrum.columns + 4 * n * n)
    read, written = torch.randn(batch // together, numbers // 2), torch.empty(batch // together, numbers // 2)

    def run() -> None:
        for source, target in zip(read, written):
            target.copy_(source)

    return run


def flow_stage(args: argparse.Namespace) -> None:
    """The fastest transforms and the fastest copies over all ways to part the batch, times the stages of a step."""
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
    """The two pressure solves of a stage with a body, and its least traffic: six times the velocity read or written, copied."""
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
