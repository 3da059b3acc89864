"""Physics-informed losses as they are commonly written in torch: stock layers, and derivatives by nested `torch.autograd.grad`.

This is the readable reference: `tests/pinn/network/test_nested_reference.py` compares ours with it, and the suite "pinn" times it. Of the package it
uses only the names of a network's weights.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

# Coefficients of active turbulence with the signs of Maddu et al. 2021.
LAMBDA_0, ALPHA, BETA, GAMMA_0, GAMMA_2 = 3.5, -1.0, 0.5, -0.045, 0.045**3


class PlainNetwork(nn.Module):
    """Dense network with standardised inputs: (N, inputs) -> (N, outputs)."""

    def __init__(self, layers: tuple[int, ...], activation: str, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.linears = nn.ModuleList(nn.Linear(i, o, dtype=mean.dtype) for i, o in pairwise(layers))
        self.activation = {"tanh": torch.tanh, "sine": torch.sin}[activation]
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    @classmethod
    def like(cls, network: Any) -> PlainNetwork:
        """Return a network with the weights of a `CoordinateNetwork` of one seed."""
        layers = (network.inputs, *[network.width] * network.depth, network.outputs)
        plain = cls(layers, network.activation, network.mean.clone(), network.std.clone())
        with torch.no_grad():
            for linear, weight, bias in zip(plain.linears, network.weights, network.biases):
                linear.weight.copy_(weight[0].T)
                linear.bias.copy_(bias[0, 0])
        return plain

    def forward(self, x: Tensor) -> Tensor:
        h = (x - self.mean) / self.std
        for linear in self.linears[:-1]:
            h = self.activation(linear(h))
        return self.linears[-1](h)


def slopes(f: Tensor, x: Tensor) -> tuple[Tensor, ...]:
    """Return the partial derivatives (N,) of f (N,) by each coordinate of x (N, D), from one differentiable backward pass."""
    (gradient,) = torch.autograd.grad(f, x, torch.ones_like(f), create_graph=True)
    return gradient.unbind(-1)


def poisson_losses(network: nn.Module, interior: Tensor, source: Tensor, boundary: Tensor, known: Tensor) -> dict[str, Tensor]:
    """Return the mean square of u_xx + u_yy - source inside, and the sum over the four sides of the mean square of u - known.

    Args: network: u(x, y). interior, boundary: points (N, 2). source: at the interior points. known: u at the boundary points.
    """
    x = interior.detach().requires_grad_()
    u_x, u_y = slopes(network(x)[:, 0], x)
    u_xx, u_yy = slopes(u_x, x)[0], slopes(u_y, x)[1]
    outside = (network(boundary)[:, 0] - known).square()
    return {"pde": (u_xx + u_yy - source).square().mean(), "boundary": outside.reshape(4, -1).mean(1).sum()}


def turbulence_residual(network: nn.Module, points: Tensor) -> Tensor:
    """Return the residual of the vorticity equation of active turbulence, (N,), at points (N, 3) of x, y, t; the network gives (u, v).

    Common derivatives are shared: eight backward passes to the points, before the one to the weights.
    """
    x = points.detach().requires_grad_()
    u, v = network(x).unbind(-1)
    (u_x, u_y, _), (v_x, v_y, _) = slopes(u, x), slopes(v, x)
    w = v_x - u_y
    w_x, w_y, w_t = slopes(w, x)
    lap = slopes(w_x, x)[0] + slopes(w_y, x)[1]
    lap_x, lap_y, _ = slopes(lap, x)
    laplap = slopes(lap_x, x)[0] + slopes(lap_y, x)[1]
    m = u**2 + v**2
    m_x, m_y = 2 * (u * u_x + v * v_x), 2 * (u * u_y + v * v_y)
    cubic = m * w + v * m_x - u * m_y
    return w_t + LAMBDA_0 * (u * w_x + v * w_y) + ALPHA * w + BETA * cubic - GAMMA_0 * lap + GAMMA_2 * laplap
