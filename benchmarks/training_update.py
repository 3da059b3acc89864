"""Time the training update of `fit` for the paper's Kuramoto-Sivashinsky case, with all seeds of a stack at once. Prints one JSON line.

`seconds` is per update and model: the time of a stack divided by its seeds. The window is fixed, as for the peers, so reading data is not timed.

python benchmarks/training_update.py [--grad wig] [--seeds 1] [--horizon 3]
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import torch
from timing import arguments, emit, measure
from torch import Tensor
from workload import BATCH, DEPTH, DOMAIN, FRAME_DT, HORIZON, POINTS, SUBSTEPS, WIDTH, first_state

from eddygrad.correctors import Corrected, ResNet, correct, domain_size
from eddygrad.runtime.memory import keep_freed_memory
from eddygrad.solver.equations.kuramoto_sivashinsky import KuramotoSivashinsky
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.unroll import Window
from eddygrad.training import Loop, TrainingConfig, Unrolled

TRAINING_DOMAINS = (0.9, 0.95, 1.0, 1.1, 1.2, 1.3)  # D / 8 in the paper's training set


def options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--grad", default="wig", choices=["wig", "nog"])
    parser.add_argument("--seeds", type=int, default=1, help="1: a single network; more: a stack")
    parser.add_argument("--lengths", default="shared", choices=["shared", "per-sample"], help="per-sample: the paper's six training lengths")
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--horizon", type=int, default=HORIZON)
    parser.add_argument("--width", type=int, default=WIDTH)
    parser.add_argument("--depth", type=int, default=DEPTH)
    parser.add_argument("--updates", type=int, default=10, help="updates per timed block")
    return parser.parse_args()


def corrected_solver(seeds: int, width: int = WIDTH, depth: int = DEPTH) -> Corrected:
    """Return the corrected solver: two steps of ETD1 plus h f(u, D/8), where f is the paper's residual network, a stack if `seeds` > 1."""
    grid = Grid((POINTS,), 2 * math.pi * DOMAIN)
    coarse = ETDRK(KuramotoSivashinsky(), grid, dt=FRAME_DT, order=1, substeps=SUBSTEPS)
    network = ResNet(width, depth, seeds=None if seeds == 1 else range(seeds))
    return correct(coarse, network, mode="parallel", features=domain_size())


def fixed_window(seeds: int, batch: int, horizon: int, lengths: str = "shared") -> Window:
    """Return a window (B, T, 1, N) or (S, B, T, 1, N): a smooth state, and random targets of the size of the attractor.

    Args: seeds: S. batch: B. horizon: T - 1. lengths: "shared" or "per-sample".
    """
    rows = seeds * batch
    u = torch.tensor(first_state(rows), dtype=torch.float32)[:, None, None]
    targets = torch.randn(rows, horizon, 1, POINTS, generator=torch.Generator().manual_seed(0)) * 0.5
    scale = torch.tensor(TRAINING_DOMAINS if lengths == "per-sample" else [1.0], dtype=torch.float64)
    length = 2 * math.pi * DOMAIN * scale[torch.arange(rows) % len(scale)].reshape(rows, 1, 1)
    window = torch.cat([u, targets], 1)
    if seeds == 1:
        return Window(window, {"length": length})
    return Window(window.unflatten(0, (seeds, batch)), {"length": length.unflatten(0, (seeds, batch))}, time_axis=2)


def build_update(
    grad: str, seeds: int, width: int = WIDTH, depth: int = DEPTH, horizon: int = HORIZON, batch: int = BATCH, lengths: str = "shared"
) -> Callable[[], Tensor]:
    """Return a function that makes one update of all seeds (forward, backward, guard, Adam) and returns the loss per seed.

    Args: grad: "wig" or "nog". seeds: stacked networks. width, depth: of the network. horizon: unrolled steps. batch: samples. lengths: see above.
    """
    model = corrected_solver(seeds, width, depth)
    window = fixed_window(seeds, batch, horizon, lengths)
    training = TrainingConfig(steps=10**9, lr=1e-4, horizon=horizon)
    return Loop(model, Unrolled(model, f"{grad}:{horizon}"), lambda step, horizon: window, training).update


def main() -> None:
    args = options()
    torch.set_num_threads(args.threads)
    keep_freed_memory()  # as on the command line
    update = build_update(args.grad, args.seeds, args.width, args.depth, args.horizon, args.batch, args.lengths)

    def block() -> None:
        for _ in range(args.updates):
            loss = update()
        assert bool(torch.isfinite(loss).all())

    result = measure(block, args.updates * args.seeds, args.repetitions, args.max_seconds)
    parameters = sum(p.numel() for p in corrected_solver(1, args.width, args.depth).parameters())
    settings = {name: getattr(args, name) for name in ("grad", "batch", "horizon", "seeds", "lengths", "threads")}
    emit("ks-train", "eddygrad", result, **settings, parameters=parameters, versions=f"torch {torch.__version__}")


if __name__ == "__main__":
    main()
