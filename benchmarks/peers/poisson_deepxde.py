"""Peer: time one training iteration of DeepXDE (torch) on the Poisson problem, k = 6. Prints one JSON line.

It has the same 2500 + 400 points, initial weights, standardised inputs, losses and Adam as ours. Points and source are fixed, so that nothing is
drawn or computed again. The timed code is an iteration of `Model.train` without tests, callbacks and display. Points are passed as anchors and
boundary sets, which is fastest for DeepXDE: each point occurs once, whereas DeepXDE's own boundary points would also have a residual.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

os.environ["DDE_BACKEND"] = "pytorch"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import contextlib
import io

import pinn_workload as given
import torch
from timing import arguments, emit, measure

with contextlib.redirect_stderr(io.StringIO()):  # deepxde prints its backend
    import deepxde as dde

parser = arguments(__doc__)
parser.add_argument("--autodiff", default="reverse", choices=["reverse", "forward"], help="derivatives by the points; reverse: DeepXDE's default")
parser.add_argument("--freed-memory", default="return", choices=["keep", "return"], help="return: torch's default; keep: as ours")
parser.add_argument("--updates", type=int, default=20, help="updates per timed block")
args = parser.parse_args()
torch.set_num_threads(args.threads)
with contextlib.redirect_stdout(io.StringIO()):
    dde.config.set_default_autodiff(args.autodiff)
interior, boundary = given.interior_points(), given.boundary_points()


def equation(x: torch.Tensor, u: Any, f: torch.Tensor) -> torch.Tensor:
    second = [dde.grad.hessian(u, x, i=i, j=i) for i in range(2)]
    if args.autodiff == "forward":  # values and functions
        second = [value for value, _ in second]
    return second[0] + second[1] - f


def keep_freed_memory() -> None:
    """Keep freed memory as ours does. The package is not installed in this environment, so its file, which needs only torch, is loaded by path."""
    file = Path(__file__).resolve().parents[2] / "eddygrad" / "runtime" / "memory.py"
    spec = importlib.util.spec_from_file_location("memory", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.keep_freed_memory()


def model() -> dde.Model:
    """Return a compiled model with its points."""
    sides = dde.icbc.PointSetBC(boundary, given.exact(boundary)[:, None])
    square = dde.geometry.Rectangle([0, 0], [1, 1])
    data = dde.data.PDE(square, equation, [sides], anchors=interior, auxiliary_var_function=lambda x: given.source(x)[:, None])
    assert len(data.train_x) == len(interior) + len(boundary) and data.num_bcs == [len(boundary)]
    network = dde.nn.FNN(list(given.POISSON_LAYERS), "tanh", "Glorot normal")
    mean, std = (torch.tensor(value, dtype=torch.float32) for value in given.standard())
    network.apply_feature_transform(lambda x: (x - mean) / std)
    with torch.no_grad():
        for linear, weight in zip(network.linears, given.first_weights(given.POISSON_LAYERS, 5 / 3)):
            linear.weight.copy_(torch.as_tensor(weight.T))
    made = dde.Model(data, network)
    with contextlib.redirect_stdout(io.StringIO()):
        # The sum of four means over 100 points each is four times the mean over all points.
        made.compile("adam", lr=given.LEARNING_RATE, loss_weights=[1, 4])
    made.batch_size = None
    return made


def iterate(made: dde.Model, times: int) -> None:
    """Make iterations, as the loop body of `Model._train_sgd` does."""
    state = made.train_state
    for _ in range(times):
        state.set_data_train(*made.data.train_next_batch(made.batch_size))
        made._train_step(state.X_train, state.y_train, state.train_aux_vars)


def probe() -> list[float]:
    """Return the probe: both losses after some iterations."""
    made = model()
    iterate(made, given.PROBE_UPDATES)
    state = made.train_state
    _, losses = made._outputs_losses(True, state.X_train, state.y_train, state.train_aux_vars)
    return given.poisson_probe(*(float(loss) for loss in losses))


if args.freed_memory == "keep":
    keep_freed_memory()
trained = model()
result = measure(lambda: iterate(trained, args.updates), args.updates, args.repetitions, args.max_seconds)
emit(
    "pinn-poisson",
    f"DeepXDE {args.autodiff}",
    result,
    scheme="k=6",
    iterations_per_second=1 / result["seconds"],
    probe=probe(),
    parameters=sum(p.numel() for p in trained.net.parameters()),
    threads=args.threads,
    freed_memory=args.freed_memory,
    versions=f"deepxde {dde.__version__}, torch {torch.__version__}",
)
