"""The residual network: counts by formula, symmetry, and independent references for values and gradients."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from eddygrad.correctors import seeded_network
from eddygrad.correctors.resnet import ResNet
from eddygrad.runtime import memory


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


PAPER = {(8, 1): 481, (10, 2): 1341, (16, 4): 6433, (26, 8): 33125, (52, 12): 196457, (116, 12): 972777}


@pytest.mark.parametrize("size", PAPER)
def test_counts_of_the_paper(size):
    c, d = size
    assert ResNet(c, d).parameter_count() == PAPER[size] == 7 * c + 2 * d * (3 * c**2 + c) + 3 * c + 1


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("cin,cout", [(1, 1), (4, 2)])
def test_count_by_formula_in_every_dimension(ndim, cin, cout):
    k, c, d = 3**ndim, 5, 2
    expected = c * (k * cin + 1) + 2 * d * c * (k * c + 1) + cout * (k * c + 1)
    assert ResNet(c, d, cin, cout, ndim, seeds=(1, 2)).parameter_count() == expected


class Plain(nn.Module):
    """The paper's network in torch's own layers."""

    def __init__(self, net: ResNet, index: int = 0) -> None:
        super().__init__()
        conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[net.ndim - 1]
        self.layers = nn.ModuleList()
        for layer in net.layers:
            w = layer.weight[index].detach()
            mine = conv(w.shape[1], w.shape[0], 3, padding=1, padding_mode="circular").double()
            mine.weight.data, mine.bias.data = w.clone(), layer.bias[index].detach().clone()
            self.layers.append(mine)

    def forward(self, x):
        x = self.layers[0](x)
        inner = list(self.layers[1:-1])
        for one, two in zip(inner[::2], inner[1::2]):
            x = F.leaky_relu(two(F.leaky_relu(one(x), 0.01)) + x, 0.01)
        return self.layers[-1](x)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_values_and_gradients_are_those_of_torch_layers(ndim):
    net = ResNet(4, 2, 2, 3, ndim, seed=7).double()
    plain, x = Plain(net), noise(3, 2, *[7, 6, 5][:ndim])
    results = []
    for module in (net, plain):
        leaf = x.clone().requires_grad_()
        y = module(leaf)
        params = list(module.parameters())
        results.append([y.detach(), *torch.autograd.grad((y * noise(*y.shape, seed=1)).sum(), [leaf, *params])])
    for a, b in zip(*results):
        torch.testing.assert_close(a.reshape(b.shape), b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("points,batch", [(48, 3), (3, 1), (5, 2)])
def test_the_fast_line_equals_the_network_in_blocks(depth, points, batch):
    net = ResNet(5, depth, 2, 1, 1, seeds=(3, 1, 4)).double()
    x, params = noise(3, 2, points * batch), list(net.parameters())
    results = []
    for way in (net._through, net._in_blocks):
        leaf = x.clone().requires_grad_()
        y = way(leaf, batch, *params)
        results.append([y.detach(), *torch.autograd.grad((y * noise(*y.shape, seed=1)).sum(), [leaf, *params])])
    for a, b in zip(*results):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("together", [1, 2])
@pytest.mark.parametrize("ndim", [1, 2])
def test_a_stack_in_parts_equals_the_whole(together, ndim, monkeypatch):
    """Parts of one or of two of three seeds: values and gradients of inputs and parameters do not notice."""
    grid = (7, 5)[:ndim]
    net, x = ResNet(5, 2, 2, 1, ndim, seeds=(3, 1, 4)).double(), noise(3, 4, 2, *grid)
    results, taken = [], []
    through = net._through
    monkeypatch.setattr(net, "_through", lambda x, *rest: taken.append(len(x)) or through(x, *rest))
    for size in (1 << 30, together * 3 * 5 * math.prod(grid) * 4 * 8):
        monkeypatch.setattr(seeded_network, "_CACHED_BYTES", size)
        leaf = x.clone().requires_grad_()
        y = net(leaf)
        results.append([y.detach(), *torch.autograd.grad((y * noise(*y.shape, seed=1)).sum(), [leaf, *net.parameters()])])
    assert taken == [3, *([1, 1, 1] if together == 1 else [2, 1])]
    for whole, parts in zip(*results):
        torch.testing.assert_close(parts, whole, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_commutes_with_translation(ndim):
    net, axes = ResNet(4, 1, 1, 1, ndim).double(), tuple(range(2, 2 + ndim))
    x, shift = noise(2, 1, *[8, 6, 5][:ndim]), (3, 1, 4)[:ndim]
    torch.testing.assert_close(net(x.roll(shift, axes)), net(x).roll(shift, axes), rtol=1e-13, atol=1e-13)
    assert (net(x) - net(x).roll(shift, axes)).abs().max() > 1e-3


@pytest.mark.parametrize("ndim", [1, 2])
def test_an_entry_depends_on_its_seed_only_and_is_the_single_network(ndim):
    one, other = ResNet(4, 1, 1, 1, ndim, seeds=(5, 9, 2)).double(), ResNet(4, 1, 1, 1, ndim, seeds=(2, 5)).double()
    for a, b in zip(one.parameters(), other.parameters()):
        assert torch.equal(a[0], b[1]) and torch.equal(a[2], b[0]) and not torch.equal(a[0], a[1])
    single = ResNet(4, 1, 1, 1, ndim, seed=9).double()
    for a, b, c in zip(one.parameters(), single.parameters(), one.entry(1).parameters()):
        assert torch.equal(a[1:2], b) and torch.equal(b, c)
    x = noise(2, 1, *[8, 6][:ndim])
    torch.testing.assert_close(one(x)[1], single(x), rtol=1e-13, atol=1e-13)
    assert not one.entry(1).stacked and one.entry(1).seeds == (9,)


def test_one_batch_for_all_or_one_for_each():
    net, x = ResNet(3, 1, 1, 1, seeds=(0, 1)).double(), noise(4, 1, 8)
    assert torch.equal(net(x), net(torch.stack([x, x])))
    assert ResNet(3, 1, 1, 1, seeds=(0,)).double()(x).shape == (1, 4, 1, 8)
    for bad, text in ((noise(3, 4, 1, 8), "seed axis of 3"), (noise(4, 2, 8), "expected"), (noise(8), "expected")):
        with pytest.raises(ValueError, match=text):
            net(bad)


def test_precision_and_neighbours_do_not_change_the_start():
    single, double = ResNet(4, 2, seeds=(1, 2)), ResNet(4, 2, seed=2).double()
    for a, b in zip(single.parameters(), double.parameters()):
        assert torch.equal(a[1:2].double(), b)
    before = torch.random.get_rng_state()
    ResNet(4, 2, seeds=(1, 2))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("ndim", [1, 2])
def test_start_is_uniform_within_one_over_the_root_of_the_fan_in(ndim):
    net = ResNet(24, 2, 2, 1, ndim, seeds=(0, 1)).double()
    for layer in net.layers[1:-1]:
        bound = 1 / math.sqrt(24 * 3**ndim)
        values = layer.weight.detach().flatten()
        n = values.numel()
        assert values.abs().max() <= bound and layer.bias.abs().max() <= bound
        # Mean and variance of n uniform numbers: standard errors sqrt(1/3n) and sqrt(4/45n) of bound and bound^2; four of them.
        assert abs(values.mean() / bound) < 4 / math.sqrt(3 * n)
        assert abs(values.square().mean() / bound**2 - 1 / 3) < 4 * math.sqrt(4 / 45 / n)


def test_gradcheck():
    net = ResNet(2, 1, 1, 1, seeds=(0, 1)).double()
    x = noise(2, 2, 1, 5).requires_grad_()
    params = [p.detach().requires_grad_() for p in net.parameters()]
    names = [n for n, _ in net.named_parameters()]
    assert torch.autograd.gradcheck(lambda x, *p: torch.func.functional_call(net, dict(zip(names, p)), (x,)), (x, *params))


@pytest.mark.parametrize("ndim", [1, 2])
def test_double_backward_is_refused(ndim):
    net, x = ResNet(2, 1, 1, 1, ndim).double(), noise(2, 1, *[8, 6][:ndim]).requires_grad_()
    (g,) = torch.autograd.grad(net(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        g.sum().backward()


def test_interleaved_calls_do_not_share_scratch_memory():
    """Two forwards before two backwards, of equal shapes: nothing saved lives in the workspace."""
    a, b, x = ResNet(3, 1, 1, 1, seed=0).double(), ResNet(3, 1, 1, 1, seed=1).double(), noise(2, 1, 8)
    alone = [torch.autograd.grad(net(x).square().sum(), list(net.parameters())) for net in (a, b)]
    ya, yb = a(x), b(x)
    together = [torch.autograd.grad(y.square().sum(), list(net.parameters())) for y, net in ((ya, a), (yb, b))]
    assert all(torch.equal(p, q) for one, two in zip(alone, together) for p, q in zip(one, two))


@pytest.mark.parametrize("ndim", [1, 2])
def test_evaluating_in_inference_mode_first_leaves_training_as_it_is(ndim, monkeypatch):
    net, x = ResNet(3, 1, 1, 1, ndim).double(), noise(2, 1, *[8, 6][:ndim])
    results = []
    for evaluate_first in (False, True):
        monkeypatch.setattr(memory, "_buffers", memory._Buffers())  # nothing is kept yet
        if evaluate_first:
            with torch.inference_mode():
                net(x)
        results.append(torch.autograd.grad(net(x).square().sum(), list(net.parameters())))
    assert all(torch.equal(a, b) for a, b in zip(*results))


@pytest.mark.parametrize("options", [{"width": 0}, {"depth": -1}, {"ndim": 4}, {"cin": 0}, {"seeds": ()}])
def test_sizes_out_of_range(options):
    with pytest.raises(ValueError, match="ResNet"):
        ResNet(**{"width": 2, "depth": 1} | options)
