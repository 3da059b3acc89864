"""The encoder-decoder: the printed counts, symmetry, and torch's own layers for values and gradients."""

from itertools import product

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from eddygrad.correctors.encoder_decoder import SIZES, EncoderDecoder

EXACT = {"32k": (32_369, 32_376), "116k": (115_803, 115_810), "461k": (461_235, 461_250), "1.08M": (1_084_595, 1_084_610)}


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def printed(count):
    return f"{count / 1e6:.2f}M" if count >= 1e6 else f"{count / 1e3:.0f}k"


def by_formula(widths, cin, cout, ndim, kernels):
    *stages, last = [k**ndim for k in kernels]
    inner = sum(b * (k * a + 1) + b * (k * b + 1) + b * (a + 1) for a, b, k in zip((cin, *widths), widths, stages))
    return inner + cout * (last * widths[-1] + 1)


@pytest.mark.parametrize("size", SIZES)
def test_counts_of_the_paper(size):
    """The count of the authors' code (three channels in and out), and what the network as used has: both are as printed."""
    in_their_code, used = EXACT[size]
    assert EncoderDecoder(size, 3, 3).parameter_count() == in_their_code and EncoderDecoder(size).parameter_count() == used
    assert printed(in_their_code) == printed(used) == size
    f = SIZES[size]
    pairs = list(zip((3, *f), f))
    assert in_their_code == sum((3 * 3 + 1) * a * b + 3 * b + 3 * 3 * b * b for a, b in pairs) + 3 * 3 * 3 * f[-1] + 3


def test_plain_convolutions_do_not_give_the_printed_counts_by_one_rule():
    """Symmetric kernels from 1, 3, 5, 7, outer half given: the smallest size has one fit, by chance, and 461k has another one."""

    def fits(size):
        channels = (4, *SIZES[size], 2)
        for half in product((1, 3, 5, 7), repeat=(len(channels) - 1) // 2):
            kernels = half + half[::-1]
            if printed(sum(b * (k * k * a + 1) for a, b, k in zip(channels, channels[1:], kernels))) == size:
                yield half

    assert list(fits("32k")) == [(5, 1, 5)] and list(fits("461k")) == [(7, 3, 3, 5)]


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("kernels", [1, 3, (5, 1, 3)])
def test_count_by_formula_in_every_dimension(ndim, kernels):
    net = EncoderDecoder((3, 5), 4, 2, ndim, seeds=(1, 2), kernels=kernels)
    assert net.parameter_count() == by_formula((3, 5), 4, 2, ndim, kernels if isinstance(kernels, tuple) else (kernels,) * 3)


class Plain(nn.Module):
    """The network in torch's own layers."""

    def __init__(self, net: EncoderDecoder, index: int = 0) -> None:
        super().__init__()
        conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[net.ndim - 1]
        self.layers = nn.ModuleList()
        for layer in net.layers:
            w = layer.weight[index].detach()
            k = w.shape[-1]
            mine = conv(w.shape[1], w.shape[0], k, padding=k // 2, padding_mode="circular").double()
            mine.weight.data, mine.bias.data = w.clone(), layer.bias[index].detach().clone()
            self.layers.append(mine)

    def forward(self, x):
        inner = list(self.layers[:-1])
        while inner:
            one, two, skip, *inner = inner
            x = F.leaky_relu(two(F.leaky_relu(one(x), 0.01)) + skip(x), 0.01)
        return self.layers[-1](x)


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("kernels", [3, (7, 1, 5)])
def test_values_and_gradients_are_those_of_torch_layers(ndim, kernels):
    net = EncoderDecoder((3, 4), 2, 3, ndim, seeds=(7, 1), kernels=kernels).double()
    x = noise(2, 3, 2, *[7, 6, 5][:ndim])
    leaf = x.clone().requires_grad_()
    y = net(leaf)
    grads = torch.autograd.grad((y * noise(*y.shape, seed=1)).sum(), [leaf, *net.parameters()])
    for s in range(2):
        plain, own = Plain(net, s), x[s].clone().requires_grad_()
        z = plain(own)
        expected = torch.autograd.grad((z * noise(*y.shape, seed=1)[s]).sum(), [own, *plain.parameters()])
        for a, b in zip((y, *grads), (z, *expected)):
            torch.testing.assert_close(a[s].detach(), b.detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_commutes_with_translation(ndim):
    net, axes = EncoderDecoder((4, 6, 4), 1, 1, ndim, kernels=(3, 5, 3, 1)).double(), tuple(range(2, 2 + ndim))
    x, shift = noise(2, 1, *[8, 6, 5][:ndim]), (3, 1, 4)[:ndim]
    torch.testing.assert_close(net(x.roll(shift, axes)), net(x).roll(shift, axes), rtol=1e-13, atol=1e-13)
    assert (net(x) - net(x).roll(shift, axes)).abs().max() > 1e-3


def test_an_entry_depends_on_its_seed_only_and_is_the_single_network():
    one, other = (EncoderDecoder((4, 3), seeds=seeds).double() for seeds in ((5, 9, 2), (2, 5)))
    for a, b in zip(one.parameters(), other.parameters()):
        assert torch.equal(a[0], b[1]) and torch.equal(a[2], b[0]) and not torch.equal(a[0], a[1])
    single, x = EncoderDecoder((4, 3), seed=9).double(), noise(2, 4, 8, 6)
    for a, b, c in zip(one.parameters(), single.parameters(), one.entry(1).parameters()):
        assert torch.equal(a[1:2], b) and torch.equal(b, c)
    torch.testing.assert_close(one(x)[1], single(x), rtol=1e-13, atol=1e-13)
    assert torch.equal(one(x), one(torch.stack([x] * 3)))
    assert not one.entry(1).stacked and one.entry(1).seeds == (9,)


def test_precision_and_neighbours_do_not_change_the_start():
    before = torch.random.get_rng_state()
    single, double = EncoderDecoder((4, 3), seeds=(1, 2)), EncoderDecoder((4, 3), seed=2).double()
    for a, b in zip(single.parameters(), double.parameters()):
        assert torch.equal(a[1:2].double(), b)
    assert torch.equal(before, torch.random.get_rng_state())


def test_an_entry_keeps_what_was_learned_and_a_reset_forgets_it():
    net, x = EncoderDecoder((3,), 1, 1, seeds=(0, 1), kernels=(5, 1)), noise(2, 1, 6, 5).float()
    with torch.no_grad():
        for p in net.parameters():
            p.add_(noise(*p.shape))
    torch.testing.assert_close(net.entry(1)(x), net(x)[1], rtol=1e-5, atol=1e-5)
    assert not torch.equal(net.with_seeds((0, 1))(x), net(x))
    net.reset()
    assert torch.equal(net.with_seeds((0, 1))(x), net(x))


def test_sizes_left_out_are_those_of_the_data_and_given_ones_stay():
    free, bound = EncoderDecoder("32k", seeds=(3, 4), kernels=(5, 3, 3, 3, 3, 1)).double(), EncoderDecoder((3,), cin=5, seed=3)
    assert free.sized(4, 2, 2) is free and (free.cin, free.cout, free.ndim) == (4, 2, 2)
    sized = free.sized(3, 1, 1)
    explicit = EncoderDecoder(SIZES["32k"], 3, 1, 1, seeds=(3, 4), kernels=(5, 3, 3, 3, 3, 1)).double()
    for a, b in zip(sized.parameters(), explicit.parameters(), strict=True):
        assert torch.equal(a, b) and a.dtype == b.dtype
    grown = bound.sized(7, 3, 1)
    assert (grown.cin, grown.cout, grown.ndim) == (5, 3, 1) and grown.seeds == (3,) and not grown.stacked


def test_gradcheck():
    net = EncoderDecoder((2, 3), 1, 1, seeds=(0, 1), kernels=(3, 1, 3)).double()
    x = noise(2, 1, 1, 4, 3).requires_grad_()
    params, names = [p.detach().requires_grad_() for p in net.parameters()], [n for n, _ in net.named_parameters()]
    assert torch.autograd.gradcheck(lambda x, *p: torch.func.functional_call(net, dict(zip(names, p)), (x,)), (x, *params))


@pytest.mark.parametrize(
    "options,told",
    [
        ({"widths": "33k"}, "32k, 116k, 461k, 1.08M"),
        ({"widths": ()}, "at least one width"),
        ({"widths": (4, 0)}, "each >= 1"),
        ({"kernels": 2}, "odd"),
        ({"kernels": (3, 3)}, "each of 2 stages and the last layer"),
        ({"ndim": 4}, "ndim 1..3"),
        ({"cin": 0}, "channels >= 1"),
        ({"seeds": ()}, "at least one seed"),
    ],
)
def test_sizes_out_of_range(options, told):
    with pytest.raises(ValueError, match=f"EncoderDecoder: .*{told}"):
        EncoderDecoder(**{"widths": (2, 3)} | options)


def test_inputs_of_other_sizes():
    net = EncoderDecoder((2, 3), seeds=(0, 1)).double()
    for bad, told in ((noise(3, 3, 8, 8), r"cin="), (noise(3, 2, 4, 8, 8), "seed axis of 3"), (noise(4, 8, 8), "expected")):
        with pytest.raises(ValueError, match=f"EncoderDecoder: .*{told}"):
            net(bad)
    assert "widths=(2, 3), kernels=3, parameters=" in repr(net)
