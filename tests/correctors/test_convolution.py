"""Circular convolutions and residual blocks of stacked seeds: values and hand-written adjoints against autograd of their definition."""

from itertools import product

import pytest
import torch
from torch.nn import functional as F

from eddygrad.correctors.convolution import Convolution, ResidualBlock, StackedConv

GRID = (7, 5, 6)  # of different lengths, none below the largest kernel


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def defined(x, w, b):
    """y[o, i] = b[o] + sum_{c, j} w[o, c, j] x[c, i + j - k // 2] for x (S, C, B, *grid), indices periodic."""
    kernel, ndim = w.shape[-1], w.ndim - 3
    axes = tuple(range(-ndim, 0))
    taps = product(range(kernel), repeat=ndim)
    shifted = (torch.einsum("soc,sc...->so...", w[(..., *j)], x.roll([kernel // 2 - i for i in j], axes)) for j in taps)
    return sum(shifted, b.reshape(*b.shape, *[1] * (ndim + 1)))


def innermost(x):
    """(S, C, B, *grid) with the batch innermost in the last grid axis."""
    return x.movedim(2, -1).flatten(-2).contiguous()


def layers(seeds, ndim, *sizes):
    """Weight and bias of each layer (in, out, kernel)."""
    shapes = [shape for i, o, k in sizes for shape in ((seeds, o, i, *[k] * ndim), (seeds, o))]
    return [noise(*shape, seed=n).requires_grad_() for n, shape in enumerate(shapes, 1)]


def assert_same(fast, plain, x, params, wanted):
    """Values and gradients of both ways; the fast one sees the batch innermost."""
    results = []
    for way, view in ((fast, innermost), (plain, lambda x: x)):
        leaf = x.clone().requires_grad_(wanted)
        y = way(view(leaf))
        weights = view(noise(*x.shape[:1], params[-1].shape[1], *x.shape[2:], seed=99))
        results.append([y.detach(), *torch.autograd.grad((y * weights).sum(), [leaf] * wanted + params)])
    results[1][0] = innermost(results[1][0])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-11)  # sums of up to 10^3 products of order one


CASES = [*product([1, 2], [1, 3], [1, 2], [1, 3, 5], [True, False]), *product([3], [2], [2], [1, 3, 5], [True, False])]


@pytest.mark.parametrize("ndim,seeds,batch,kernel,wanted", CASES)
def test_a_convolution_and_its_adjoint_by_the_definition(ndim, seeds, batch, kernel, wanted):
    params = layers(seeds, ndim, (2, 3, kernel))
    assert_same(lambda x: Convolution.apply(x, batch, *params), lambda x: defined(x, *params), noise(seeds, 2, batch, *GRID[:ndim]), params, wanted)


@pytest.mark.parametrize("ndim,seeds,batch,kernel,wanted", CASES)
@pytest.mark.parametrize("skip", ["convolution", "identity"])
def test_a_residual_block_and_its_adjoint_by_the_definition(ndim, seeds, batch, kernel, wanted, skip):
    sizes = [(2, 3, kernel), (3, 3, kernel), (2, 3, 1)] if skip == "convolution" else [(3, 2, kernel), (2, 3, kernel)]
    params = layers(seeds, ndim, *sizes)

    def plain(x):
        h = F.leaky_relu(defined(x, *params[:2]), 0.1)
        return F.leaky_relu(defined(h, *params[2:4]) + (defined(x, *params[4:]) if params[4:] else x), 0.1)

    x = noise(seeds, sizes[0][0], batch, *GRID[:ndim])
    assert_same(lambda x: ResidualBlock.apply(x, batch, 0.1, *params), plain, x, params, wanted)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_arrays_that_are_not_contiguous(ndim):
    """A gradient that is expanded, weights that are transposed in memory."""
    params = layers(2, ndim, (3, 3, 3))
    params[0] = noise(*params[0].shape).transpose(1, 2).requires_grad_()
    x = noise(2, 3, 1, *GRID[:ndim]).requires_grad_()
    fast, plain = Convolution.apply(innermost(x), 1, *params).sum(), defined(x, *params).sum()
    for a, b in zip(torch.autograd.grad(fast, [x, *params]), torch.autograd.grad(plain, [x, *params])):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("ndim", [2, 3])
def test_gradients_do_not_share_memory_and_a_second_derivative_is_refused(ndim):
    params, x = layers(1, ndim, (2, 3, 3), (3, 3, 3), (2, 3, 1)), noise(1, 2, *GRID[:ndim]).requires_grad_()
    grads = torch.autograd.grad(ResidualBlock.apply(x, 1, 0.1, *params).square().sum(), [x, *params], create_graph=True)
    assert len({g.data_ptr() for g in grads}) == len(grads)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grads[0].sum().backward()


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("ndim", [1, 2])
def test_a_layer_of_any_odd_kernel_by_its_definition(kernel, ndim):
    layer = StackedConv(1, 2, 3, ndim, kernel).double()
    layer.reset(0, torch.Generator().manual_seed(0))
    x = noise(1, 2, *[8, 7][:ndim])
    torch.testing.assert_close(layer(x), defined(x.unsqueeze(2), layer.weight, layer.bias).squeeze(2), rtol=1e-13, atol=1e-13)
