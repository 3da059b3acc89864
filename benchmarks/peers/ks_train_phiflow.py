"""Peer: time one training update of a corrected Kuramoto-Sivashinsky solver as a PhiFlow user writes it. Prints one JSON line.

The solver is PhiFlow's; the network is the paper's residual network from stock torch modules.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import phi
import phiml
import torch
from phi.torch.flow import TORCH, batch, instance, spatial, tensor
from phiflow_etd import etd_step
from timing import arguments, emit, measure
from torch import Tensor, nn
from torch.nn import functional
from workload import BATCH, DEPTH, DOMAIN, FRAME_DT, HORIZON, POINTS, SUBSTEPS, WIDTH, first_state

parser = arguments(__doc__)
parser.add_argument("--grad", default="wig", choices=["wig", "nog"])
parser.add_argument("--batch", type=int, default=BATCH)
parser.add_argument("--horizon", type=int, default=HORIZON)
parser.add_argument("--width", type=int, default=WIDTH)
parser.add_argument("--depth", type=int, default=DEPTH)
parser.add_argument("--updates", type=int, default=10, help="updates per timed block")
args = parser.parse_args()
torch.set_num_threads(args.threads)
torch.manual_seed(0)
TORCH.set_default_device("CPU")
h = FRAME_DT / SUBSTEPS
step = etd_step(POINTS, h, order=1)


def convolution(inputs: int, outputs: int) -> nn.Conv1d:
    return nn.Conv1d(inputs, outputs, 3, padding=1, padding_mode="circular")


class ResNet(nn.Module):
    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.lift = convolution(2, width)
        self.middle = nn.ModuleList(convolution(width, width) for _ in range(2 * depth))
        self.drop = convolution(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.lift(x)
        for first, second in zip(self.middle[::2], self.middle[1::2]):
            skip = x
            x = functional.leaky_relu(first(x))
            x = functional.leaky_relu(second(x) + skip)
        return self.drop(x)


net = ResNet(args.width, args.depth)
optimiser = torch.optim.Adam(net.parameters(), lr=1e-4)
u0 = torch.tensor(first_state(args.batch), dtype=torch.float32)[:, None]
conditioning = torch.ones_like(u0)
labels = torch.randn(args.batch, args.horizon, POINTS) * 0.5


def solver(u: Tensor) -> Tensor:
    v = tensor(u, batch("b"), instance("c"), spatial("x"))
    for _ in range(SUBSTEPS):
        v = step(v, DOMAIN)
    return v.native(["b", "c", "x"])


def update() -> Tensor:
    optimiser.zero_grad()
    u, frames = u0, []
    for _ in range(args.horizon):
        frame = solver(u) + h * net(torch.cat([u, conditioning], 1))
        frames.append(frame)
        u = frame.detach() if args.grad == "nog" else frame
    loss = functional.mse_loss(torch.cat(frames, 1), labels)
    loss.backward()
    optimiser.step()
    return loss


def block() -> None:
    for _ in range(args.updates):
        loss = update()
    loss.item()


result = measure(block, args.updates, args.repetitions, args.max_seconds)
emit(
    "ks-train",
    "PhiFlow + stock torch network",
    result,
    grad=args.grad,
    batch=args.batch,
    horizon=args.horizon,
    seeds=1,
    parameters=sum(p.numel() for p in net.parameters()),
    threads=args.threads,
    versions=f"phiflow {phi.__version__}, phiml {phiml.__version__}, torch {torch.__version__}",
)
