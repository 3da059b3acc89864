"""Padding by zeros or by the period, axis by axis: values and hand-written adjoints against torch's convolutions of arrays padded by hand."""

from itertools import product

import pytest
import torch
from torch.nn import functional as F

from eddygrad.correctors.convolution import Convolution, ResidualBlock, Rows
from eddygrad.correctors.encoder_decoder import EncoderDecoder
from eddygrad.correctors.resnet import ResNet

GRID = (7, 5, 6)  # of different lengths, none below the largest kernel
ZEROS = {1: [(0,)], 2: [(0,), (1,), (0, 1)], 3: [(1,), (0, 2), (0, 1, 2)]}
NETWORKS = {
    "resnet": lambda padding, **sizes: ResNet(3, 1, padding=padding, **sizes),
    "encoder-decoder": lambda padding, **sizes: EncoderDecoder((3, 4), kernels=(5, 1, 3), padding=padding, **sizes),
}
each_network = pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def padded(x, margin, zeros):
    """(B, C, *grid) with margins by hand."""
    for axis in range(x.ndim - 2):
        dim, n = axis + 2, x.shape[axis + 2]
        low, high = x.narrow(dim, n - margin, margin), x.narrow(dim, 0, margin)
        x = torch.cat([torch.zeros_like(low), x, torch.zeros_like(high)] if axis in zeros else [low, x, high], dim)
    return x


def by_torch(x, w, b, zeros):
    """One network's layer: (B, C, *grid), weights as torch has them."""
    return (F.conv1d, F.conv2d, F.conv3d)[x.ndim - 3](padded(x, w.shape[-1] // 2, zeros), w, b)


def innermost(x):
    """(S, B, C, *grid) -> (S, C, *grid) with the batch innermost in the last grid axis."""
    return x.movedim(1, -1).flatten(-2).contiguous()


def assert_same(fast, plain, x, params, wanted=True):
    """Values and gradients of the stack, and of every seed by itself."""
    leaf = x.clone().requires_grad_(wanted)
    y = fast(innermost(leaf))
    weights = noise(x.shape[0], x.shape[1], y.shape[1], *x.shape[3:], seed=99)
    got = [y, *torch.autograd.grad((y * innermost(weights)).sum(), [leaf] * wanted + params)]
    for s in range(len(x)):
        own, mine = x[s].clone().requires_grad_(wanted), [p[s].detach().requires_grad_() for p in params]
        z = plain(own, *mine)
        expected = [innermost(z[None])[0], *torch.autograd.grad((z * weights[s]).sum(), [own] * wanted + mine)]
        for a, b in zip(got, expected, strict=True):
            torch.testing.assert_close(a[s], b, rtol=1e-12, atol=1e-11)  # sums of up to 10^3 products of order one


def layers(seeds, ndim, *sizes):
    """Weight and bias of each layer (in, out, kernel)."""
    shapes = [shape for i, o, k in sizes for shape in ((seeds, o, i, *[k] * ndim), (seeds, o))]
    return [noise(*shape, seed=n).requires_grad_() for n, shape in enumerate(shapes, 1)]


CASES = [
    (ndim, zeros, seeds, batch, kernel) for ndim in ZEROS for zeros in ZEROS[ndim] for seeds, batch, kernel in product([1, 2], [1, 3], [1, 3, 5])
]


@pytest.mark.parametrize("ndim,zeros,seeds,batch,kernel", CASES)
def test_a_convolution_and_its_adjoint(ndim, zeros, seeds, batch, kernel):
    params, x = layers(seeds, ndim, (2, 3, kernel)), noise(seeds, batch, 2, *GRID[:ndim])
    assert_same(lambda x: Convolution.apply(x, Rows(batch, zeros), *params), lambda x, w, b: by_torch(x, w, b, zeros), x, params)


@pytest.mark.parametrize("ndim,zeros", [(ndim, zeros) for ndim in ZEROS for zeros in ZEROS[ndim]])
@pytest.mark.parametrize("skip,wanted", [("convolution", True), ("identity", False)])
def test_a_residual_block_and_its_adjoint(ndim, zeros, skip, wanted):
    sizes = [(2, 3, 3), (3, 3, 3), (2, 3, 1)] if skip == "convolution" else [(3, 2, 5), (2, 3, 5)]

    def plain(x, *params):
        h = F.leaky_relu(by_torch(x, *params[:2], zeros), 0.1)
        return F.leaky_relu(by_torch(h, *params[2:4], zeros) + (by_torch(x, *params[4:], zeros) if params[4:] else x), 0.1)

    params, x = layers(2, ndim, *sizes), noise(2, 3, sizes[0][0], *GRID[:ndim])
    assert_same(lambda x: ResidualBlock.apply(x, Rows(3, zeros), 0.1, *params), plain, x, params, wanted)


def plain_network(net, x, s, zeros):
    """Entry s in torch's own convolutions: both networks are blocks between layers."""
    layers = [(layer.weight[s], layer.bias[s]) for layer in net.layers]
    if isinstance(net, ResNet):
        x, inner = by_torch(x, *layers[0], zeros), layers[1:-1]
        for one, two in zip(inner[::2], inner[1::2]):
            x = F.leaky_relu(by_torch(F.leaky_relu(by_torch(x, *one, zeros), 0.01), *two, zeros) + x, 0.01)
    else:
        for one, two, skip in zip(layers[:-1:3], layers[1:-1:3], layers[2:-1:3]):
            x = F.leaky_relu(by_torch(F.leaky_relu(by_torch(x, *one, zeros), 0.01), *two, zeros) + by_torch(x, *skip, zeros), 0.01)
    return by_torch(x, *layers[-1], zeros)


@each_network
@pytest.mark.parametrize("ndim,padding,zeros", [(1, "zeros", (0,)), (2, ("zeros", "circular"), (0,)), (2, "zeros", (0, 1)), (3, "zeros", (0, 1, 2))])
def test_a_network_is_its_layers_with_that_padding(make, ndim, padding, zeros):
    net = make(padding, cin=2, cout=3, ndim=ndim, seeds=(7, 1)).double()
    x = noise(2, 3, 2, *GRID[:ndim]).requires_grad_()
    y, weights = net(x), noise(2, 3, 3, *GRID[:ndim], seed=1)
    z = torch.stack([plain_network(net, x[s], s, zeros) for s in range(2)])
    torch.testing.assert_close(y, z, rtol=1e-12, atol=1e-12)
    inputs = [x, *net.parameters()]
    for a, b in zip(*(torch.autograd.grad((out * weights).sum(), inputs) for out in (y, z))):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(net.entry(1)(x[1]), z[1], rtol=1e-12, atol=1e-12)


@each_network
def test_gradcheck(make):
    net = make(("zeros", "circular"), cin=1, cout=1, seeds=(0, 1)).double()
    params, names = [p.detach().requires_grad_() for p in net.parameters()], [n for n, _ in net.named_parameters()]
    x = noise(2, 1, 1, 4, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, *p: torch.func.functional_call(net, dict(zip(names, p)), (x,)), (x, *params), fast_mode=True)


@each_network
def test_commutes_with_translation_along_the_period_only(make):
    net = make(("zeros", "circular"), cin=1, cout=1).double()
    x = noise(2, 1, 8, 6)
    torch.testing.assert_close(net(x.roll(2, 3)), net(x).roll(2, 3), rtol=1e-13, atol=1e-13)
    moved = net(x.roll(2, 2)) - net(x).roll(2, 2)
    assert moved.abs().max() > 1e-3


@each_network
def test_the_start_and_the_circular_network_are_as_without_a_word(make):
    plain, words = make("circular", ndim=2, seeds=(3, 4)).double(), make(("circular", "circular"), seeds=(3, 4)).double()
    x = noise(2, 2, plain.cin, 6, 5)
    assert torch.equal(plain(x), words(x)) and repr(plain) == repr(words) and "padding" not in repr(plain)
    for a, b in zip(plain.parameters(), make("zeros", ndim=2, seeds=(3, 4)).double().parameters()):
        assert torch.equal(a, b)


@each_network
def test_padding_survives_what_makes_networks_anew(make):
    net = make(("zeros", "circular"), seeds=(3, 4)).double()
    for other in (net.with_seeds((5,)), net.entry(0), net.sized(5, 2, 2)):
        assert other.padding == ("zeros", "circular") and other.ndim == 2 and other.zeros == (0,)
    assert "padding=('zeros', 'circular')" in repr(net)


@each_network
@pytest.mark.parametrize("padding,sizes", [("reflect", {}), (("zeros", "mirror"), {}), (("zeros",), {"ndim": 2}), (("zeros",) * 3, {"ndim": 2})])
def test_other_paddings_are_refused(make, padding, sizes):
    with pytest.raises(ValueError, match="padding is 'circular' or 'zeros', for all axes or one for each"):
        make(padding, **sizes)


def test_a_kernel_longer_than_the_period_is_refused_with_any_padding():
    for zeros in ((), (0,)):
        with pytest.raises((ValueError, RuntimeError), match=r"fits a periodic axis|Padding"):
            Convolution.apply(noise(1, 1, 9, 2), Rows(1, zeros), *layers(1, 2, (1, 1, 7)))
