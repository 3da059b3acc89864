"""Peer: time the same training update in jax, jitted: exponax solver, equinox network of the paper's shape, optax Adam. Prints one JSON line."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from timing import arguments, emit, measure, restrict_cores
from workload import BATCH, DEPTH, DOMAIN, FRAME_DT, HORIZON, POINTS, SUBSTEPS, WIDTH, first_state

parser = arguments(__doc__)
parser.add_argument("--grad", default="wig", choices=["wig", "nog"])
parser.add_argument("--batch", type=int, default=BATCH)
parser.add_argument("--horizon", type=int, default=HORIZON)
parser.add_argument("--width", type=int, default=WIDTH)
parser.add_argument("--depth", type=int, default=DEPTH)
parser.add_argument("--updates", type=int, default=10, help="updates per timed block")
args = parser.parse_args()
restrict_cores(args.threads)

import equinox as eqx  # noqa: E402
import exponax as ex  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import optax  # noqa: E402

h = FRAME_DT / SUBSTEPS
stepper = ex.stepper.KuramotoSivashinskyConservative(1, 2 * jnp.pi * DOMAIN, POINTS, h, order=1, dealiasing_fraction=1.0)
solver = ex.repeat(stepper, SUBSTEPS)


def convolution(inputs: int, outputs: int, key: Any) -> eqx.nn.Conv1d:
    return eqx.nn.Conv1d(inputs, outputs, 3, padding=1, padding_mode="CIRCULAR", key=key)


class ResNet(eqx.Module):
    lift: eqx.nn.Conv1d
    middle: list
    drop: eqx.nn.Conv1d

    def __init__(self, width: int, depth: int, key: Any) -> None:
        keys = jax.random.split(key, 2 * depth + 2)
        self.lift = convolution(2, width, keys[0])
        self.middle = [convolution(width, width, k) for k in keys[1:-1]]
        self.drop = convolution(width, 1, keys[-1])

    def __call__(self, x: Any) -> Any:
        x = self.lift(x)
        for first, second in zip(self.middle[::2], self.middle[1::2]):
            skip = x
            x = jax.nn.leaky_relu(first(x), 0.01)
            x = jax.nn.leaky_relu(second(x) + skip, 0.01)
        return self.drop(x)


net = ResNet(args.width, args.depth, jax.random.PRNGKey(0))
optimiser = optax.adam(1e-4)
state = optimiser.init(eqx.filter(net, eqx.is_array))
u0 = jnp.asarray(first_state(args.batch)[:, None], jnp.float32)
labels = jax.random.normal(jax.random.PRNGKey(1), (args.batch, args.horizon, POINTS)) * 0.5


def loss_of(net: ResNet, u: Any, labels: Any) -> Any:
    conditioning, frames = jnp.ones_like(u), []
    for _ in range(args.horizon):
        frame = jax.vmap(solver)(u) + h * jax.vmap(net)(jnp.concatenate([u, conditioning], 1))
        frames.append(frame)
        u = jax.lax.stop_gradient(frame) if args.grad == "nog" else frame
    return jnp.mean((jnp.concatenate(frames, 1) - labels) ** 2)


@eqx.filter_jit
def update(net: ResNet, state: Any, u: Any, labels: Any) -> tuple[ResNet, Any, Any]:
    loss, gradient = eqx.filter_value_and_grad(loss_of)(net, u, labels)
    change, state = optimiser.update(gradient, state)
    return eqx.apply_updates(net, change), state, loss


def block() -> None:
    global net, state
    for _ in range(args.updates):
        net, state, loss = update(net, state, u0, labels)
    loss.block_until_ready()


result = measure(block, args.updates, args.repetitions, args.max_seconds)
emit(
    "ks-train",
    "exponax + equinox jitted",
    result,
    grad=args.grad,
    batch=args.batch,
    horizon=args.horizon,
    seeds=1,
    parameters=sum(p.size for p in jax.tree.leaves(eqx.filter(net, eqx.is_array))),
    threads=args.threads,
    versions=f"jax {jax.__version__}, equinox {eqx.__version__}, exponax {version('exponax')}",
)
