"""The unrolled objective: loss and every gradient equal a loop written by hand, finite differences, or another policy's."""

import numpy as np
import pytest
import torch
from cases.training_cases import corrected, distance, flat, lengths, solver, states, window
from torch import nn

from eddygrad.correctors.compose import correct
from eddygrad.correctors.resnet import ResNet
from eddygrad.correctors.seeded_network import seed_options
from eddygrad.evaluation.cost import saved_megabytes
from eddygrad.solver.unroll import Window
from eddygrad.solver.wrap import wrap
from eddygrad.training.objectives.unrolled import Unrolled, Unrolling

# Sums of some thousand float64 products in another order.
ROUND_OFF = 1e-12


def loss_and_gradients(stepper, policy, w):
    """Loss, gradient with respect to every parameter as one vector."""
    loss = Unrolled(stepper, policy)(w)["data"]
    return loss.detach(), flat(torch.autograd.grad(loss, list(stepper.parameters())))


def square(u, frame):
    return (u - frame).square().mean()


def by_hand(stepper, w, cuts, frames, detach=lambda u: u.detach()):
    """Mean loss over `frames` with the state detached before each step in `cuts`."""
    step, u, losses = stepper.at(w.params, w.u[:, 0]), w.u[:, 0], []
    for k in range(w.u.shape[1] - 1):
        u = step(detach(u) if k in cuts else u, k)
        if k + 1 in frames:
            losses.append(square(u, w.u[:, k + 1]))
    loss = sum(losses) / len(losses)
    return loss.detach(), flat(torch.autograd.grad(loss, list(stepper.parameters())))


def test_one_step_makes_the_modalities_identical():
    stepper, results = corrected(), []
    for policy in ("one", "nog:1", "wig:1", Unrolling(1, "every", 1), "push:1/0"):
        start, length = states().requires_grad_(), lengths().requires_grad_()
        loss = Unrolled(stepper, policy)(window(1, start, length))["data"]
        results.append([loss.detach(), *torch.autograd.grad(loss, [*stepper.parameters(), start, length])])
    assert results[0][-2].abs().max() > 0 and results[0][-1].abs().min() > 0
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other))


@pytest.mark.parametrize("mode", ["parallel", "sequential", "no-bypass"])
def test_nog_is_the_mean_of_one_step_gradients_at_the_visited_states(mode):
    stepper, w = corrected(mode=mode), window(4)
    loss, gradient = loss_and_gradients(stepper, "nog:4", w)
    step, u, losses, gradients = stepper.at(w.params, w.u[:, 0]), w.u[:, 0], [], []
    for k in range(4):
        pair = Window(torch.stack([u, w.u[:, k + 1]], 1), w.params)
        one = loss_and_gradients(stepper, "one", pair)
        losses.append(one[0])
        gradients.append(one[1])
        with torch.no_grad():
            u = step(u, k)
    assert distance(loss, torch.stack(losses).mean()) < ROUND_OFF
    assert distance(gradient, torch.stack(gradients).mean(0)) < ROUND_OFF
    assert distance(loss_and_gradients(stepper, "wig:4", w)[1], gradient) > 1e-2


class WithoutGradients(nn.Module):
    """A stepper whose step runs under no_grad."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.dt, self.differentiable, self.substep = inner, inner.dt, False, inner.substep

    def at(self, params, like, observe=None):
        step = self.inner.at(params, like, observe)
        return lambda u, k=0: torch.no_grad()(step)(u, k)


@pytest.mark.parametrize("mode", ["parallel", "sequential"])
def test_nog_does_not_change_when_the_solver_runs_without_gradients(mode):
    stepper, w = corrected(mode=mode), window(3)
    blind = correct(WithoutGradients(solver()), stepper.network, mode, features=stepper.features)
    assert not blind.differentiable
    for a, b in zip(loss_and_gradients(stepper, "nog:3", w), loss_and_gradients(blind, "nog:3", w)):
        assert torch.equal(a, b)


def upwind(u, length):
    """Explicit diffusion and advection; torch and numpy read it alike."""
    roll = np.roll if isinstance(u, np.ndarray) else torch.roll
    h = length / u.shape[-1]
    left, right = roll(u, 1, -1), roll(u, -1, -1)
    return u + 0.02 * ((left - 2 * u + right) / h**2 - u * (right - left) / (2 * h))


@pytest.mark.parametrize("seeds", [0, (3, 4)])
def test_nog_through_a_numpy_function_is_nog_through_its_torch_twin(seeds):
    w = window(3)
    network = ResNet(4, 1, 1, 1, 1, **seed_options(seeds)).double()
    results = []
    for options in ({"differentiable": True}, {"array": "numpy"}):
        stepper = correct(wrap(upwind, dt=0.02, **options), network, "parallel")
        loss = Unrolled(stepper, "nog:3")(w)["data"]
        results.append((loss.detach(), flat(torch.autograd.grad(loss.sum(), list(network.parameters())))))
    for a, b in zip(*results):
        assert distance(a, b) < ROUND_OFF


def central_difference(loss_at, eps=1e-6):
    # Truncation eps^2 = 1e-12, round-off 1e-16 / eps = 1e-10.
    return (loss_at(eps) - loss_at(-eps)) / (2 * eps)


@pytest.mark.parametrize("mode", ["parallel", "sequential"])
def test_wig_agrees_with_finite_differences_and_nog_does_not(mode):
    stepper, w = corrected(mode=mode), window(3)
    params = list(stepper.parameters())
    start = [p.detach().clone() for p in params]
    wig, nog = (loss_and_gradients(stepper, policy, w)[1] for policy in ("wig:3", "nog:3"))
    for seed in range(3):
        source = torch.Generator().manual_seed(seed)
        direction = [torch.randn(p.shape, generator=source, dtype=p.dtype) for p in params]

        @torch.no_grad()
        def loss_at(eps, direction=direction):
            for p, p0, d in zip(params, start, direction):
                p.copy_(p0 + eps * d)
            return Unrolled(stepper, "wig:3")(w)["data"].item()

        expected = central_difference(loss_at)
        loss_at(0.0)
        assert (wig @ flat(direction)).item() == pytest.approx(expected, rel=1e-6)
        assert abs((nog @ flat(direction)).item() / expected - 1) > 1e-3


@pytest.mark.parametrize("what", ["first state", "length"])
def test_wig_for_the_first_state_and_the_domain_length_agrees_with_finite_differences(what):
    stepper = corrected()
    frames = window(3).u[:, 1:]
    start, length = states().requires_grad_(), lengths().requires_grad_()

    def loss_of(u, l):
        return Unrolled(stepper, "wig:3")(Window(torch.cat([u.unsqueeze(1), frames], 1), {"length": l}))["data"]

    leaf = start if what == "first state" else length
    (gradient,) = torch.autograd.grad(loss_of(start, length), leaf)
    direction = torch.randn(leaf.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    @torch.no_grad()
    def loss_at(eps):
        moved = leaf + eps * direction
        return loss_of(moved, lengths()).item() if what == "first state" else loss_of(states(), moved).item()

    assert (gradient * direction).sum().item() == pytest.approx(central_difference(loss_at), rel=1e-6)


def test_a_shared_length_has_the_sum_of_the_gradients_per_sample():
    stepper, frames = corrected(), window(2).u
    single, per_sample = torch.tensor(15.0, dtype=torch.float64, requires_grad=True), torch.full((4, 1, 1), 15.0, dtype=torch.float64)
    per_sample.requires_grad_()
    grads = [torch.autograd.grad(Unrolled(stepper, "wig:2")(Window(frames, {"length": l}))["data"], l)[0].sum() for l in (single, per_sample)]
    assert distance(grads[0], grads[1]) < 1e-10


def test_truncation_and_its_two_ends():
    stepper, w = corrected(), window(4)
    for same, reference in (("wig:4/1", "nog:4"), (Unrolling(4, "every", 4), "wig:4"), (Unrolling(4, "every", 9), "wig:4"), ("push:4/0", "wig:4")):
        for a, b in zip(loss_and_gradients(stepper, same, w), loss_and_gradients(stepper, reference, w)):
            assert torch.equal(a, b)
    for a, b in zip(loss_and_gradients(stepper, "wig:4/2", w), by_hand(stepper, w, {2}, {1, 2, 3, 4})):
        assert distance(a, b) < ROUND_OFF
    assert distance(loss_and_gradients(stepper, "wig:4/2", w)[1], loss_and_gradients(stepper, "wig:4", w)[1]) > 1e-3


def test_push_forward_moves_the_state_and_then_learns():
    stepper, w = corrected(), window(4)
    with torch.no_grad():
        step = stepper.at(w.params, w.u[:, 0])
        moved = step(step(w.u[:, 0], 0), 1)
    rest = Window(torch.cat([moved.unsqueeze(1), w.u[:, 3:]], 1), w.params)
    for a, b in zip(loss_and_gradients(stepper, "push:4/2", w), loss_and_gradients(stepper, "wig:2", rest)):
        assert distance(a, b) < ROUND_OFF
    start = states().requires_grad_()
    loss = Unrolled(stepper, "push:4/2")(window(4, start))["data"]
    assert torch.autograd.grad(loss, start, allow_unused=True, materialize_grads=True)[0].abs().max() == 0


@pytest.mark.parametrize("cut", ["solver", "network"])
def test_cuts_by_path_equal_a_loop_by_hand(cut):
    stepper, w = corrected(cut=cut), window(3)
    solve, u, losses = solver().at(w.params, w.u[:, 0]), w.u[:, 0], []
    for k in range(3):
        physics, learned = (u.detach(), u) if cut == "solver" else (u, u.detach())
        u = solve(physics, k) + 0.25 * stepper.network(stepper.features(learned, w.params, 1))
        losses.append(square(u, w.u[:, k + 1]))
    loss = sum(losses) / 3
    expected = loss.detach(), flat(torch.autograd.grad(loss, list(stepper.parameters())))
    got = loss_and_gradients(stepper, "wig:3", w)
    for a, b in zip(got, expected):
        assert distance(a, b) < ROUND_OFF
    whole = correct(solver(), stepper.network, "parallel", features=stepper.features)
    for policy in ("wig:3", "nog:3"):
        assert distance(loss_and_gradients(whole, policy, w)[1], got[1]) > 1e-3


def test_wig_through_a_solver_without_gradients_names_the_two_ways_out():
    stepper = correct(wrap(lambda u: u, dt=1.0), ResNet(2, 0, 1, 1), "parallel")
    for policy in ("wig:3", "wig:4/2", "push:4/2"):
        with pytest.raises(ValueError, match=r"'nog:\d'.*cut='solver'") as caught:
            Unrolled(stepper, policy)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"train with 'one' or 'nog:3'$"):  # cutting the solver's path would be NOG there
        Unrolled(correct(wrap(lambda u: u, dt=1.0), ResNet(2, 0, 1, 1), "sequential"), "wig:3")
    for policy in ("one", "nog:3", "wig:3/1", "push:3/2"):
        Unrolled(stepper, policy)
    Unrolled(correct(wrap(lambda u: u, dt=1.0), ResNet(2, 0, 1, 1), "parallel", cut="solver"), "wig:3")


def test_a_longer_window_does_not_slip_past_a_solver_without_gradients():
    stepper = correct(wrap(lambda u: u.sin(), dt=1.0), ResNet(2, 0, 1, 1).double(), "parallel")
    objective = Unrolled(stepper, "one")
    objective(window(1))
    with pytest.raises(ValueError, match="not differentiable"):
        objective(window(2))


def nodes(tensor):
    """Names of all nodes of the graph behind a tensor."""
    seen, todo, names = set(), [tensor.grad_fn], []
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen.add(node)
            names.append(type(node).__name__)
            todo += [parent for parent, _ in node.next_functions]
    return names


def test_the_graph_of_nog_carries_nothing_of_the_solver():
    stepper = correct(wrap(lambda u: u.sin(), dt=1.0, differentiable=True), ResNet(4, 1, 1, 1).double(), "parallel")
    graphs = {policy: nodes(Unrolled(stepper, policy)(window(4))["data"]) for policy in ("nog:4", "wig:4")}
    assert {p: sum("Sin" in n for n in names) for p, names in graphs.items()} == {"nog:4": 0, "wig:4": 3}
    assert all(sum("ResidualLine" in n for n in names) == 4 for names in graphs.values())


def test_memory_of_the_graph_grows_linearly_and_without_the_solver_for_nog():
    def megabytes(stepper, kind, m):
        return saved_megabytes(stepper, Unrolled(stepper, f"{kind}:{m}"), lambda step, horizon: window(horizon), m)

    full, blind = corrected(), corrected()
    blind.solver = WithoutGradients(solver())
    nog, wig = ([megabytes(full, kind, m) for m in (2, 3, 4, 5)] for kind in ("nog", "wig"))
    for sizes in (nog, wig):
        steps = np.diff(sizes)
        assert steps.min() > 0 and np.allclose(steps, steps[0], rtol=1e-12)
    assert nog == [megabytes(blind, "nog", m) for m in (2, 3, 4, 5)]
    # Each of the two substeps keeps at least the state that it squares, 4 samples of 16 numbers of 8 bytes.
    assert np.diff(wig)[0] - np.diff(nog)[0] > (2 * 4 * 16 * 8 - 0.5) / 1e6  # half a byte for round-off


def test_a_stack_has_the_losses_and_gradients_of_its_entries():
    stack, w = corrected(seeds=(0, 1, 2)), window(3)
    for policy in ("nog:3", "wig:3"):
        losses = Unrolled(stack, policy)(w)["data"]
        grads = torch.autograd.grad(losses.sum(), list(stack.parameters()))
        for s in range(3):
            loss, gradient = loss_and_gradients(stack.with_network(stack.network.entry(s)), policy, w)
            assert distance(losses[s].detach(), loss) < ROUND_OFF
            assert distance(flat([g[s] for g in grads]), gradient) < ROUND_OFF


def test_names_of_policies_round_trip_and_others_are_refused():
    for text in ("one", "nog:4", "wig:4", "wig:8/2", "push:4/2"):
        assert Unrolling.parse(text).name == text
    for text in ("two", "nog", "nog:0", "nog:4/2", "wig", "wig:4/0", "push:4", "push:4/4", "one:2", "wig:-3", ""):
        with pytest.raises(ValueError, match=r"nroll") as caught:
            Unrolling.parse(text)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="warmup shorter than the horizon, got 'push:3/3'"):
        Unrolling.parse("push:3/3")
    for text in ("wig:3/3", "wig:3/5"):  # a text that says truncated means it
        with pytest.raises(ValueError, match=f"'{text}' unrolls 3 steps, so a cut after {text[-1]} never happens; .* or 'wig:3' without"):
            Unrolling.parse(text)
    with pytest.raises(ValueError, match="needs 4 frames, got 3"):
        Unrolled(corrected(), "push:4/2")(window(2))
