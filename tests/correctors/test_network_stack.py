"""A user's own network as a stack of seeds: the same numbers as its entries one by one, forward, backward and after training."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from eddygrad.correctors.compose import predict
from eddygrad.correctors.network_stack import stack
from eddygrad.correctors.seeded_network import seed_options
from eddygrad.solver.unroll import Window
from eddygrad.training import TrainingConfig, Unrolled, train


class Mine(nn.Module):
    """Odd on purpose: a layer used twice, a weight shared by two layers, a buffer, a normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.lift = nn.Conv1d(1, 4, 3, padding=1, padding_mode="circular")
        self.mix = nn.Conv1d(4, 4, 1)
        self.again = self.mix
        self.mirror = nn.Conv1d(4, 4, 1)
        self.mirror.weight = self.mix.weight
        self.norm = nn.GroupNorm(2, 4)
        self.drop = nn.Conv1d(4, 1, 3, padding=1, padding_mode="circular")
        self.register_buffer("scale", torch.tensor(0.5))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.tanh(self.lift(x))
        return self.scale * self.drop(self.mirror(self.again(self.norm(torch.tanh(self.mix(y))))))


def states(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_a_stack_is_its_entries_side_by_side() -> None:
    whole, x = stack(Mine, (3, 7, 11)).double(), states(3, 5, 1, 12)
    alone = torch.stack([whole.entry(i)(x[i]) for i in range(3)])
    torch.testing.assert_close(whole(x), alone, rtol=0, atol=1e-14)
    torch.testing.assert_close(whole(x[0]), torch.stack([whole.entry(i)(x[0]) for i in range(3)]), rtol=0, atol=1e-14)
    assert not torch.allclose(alone[0], whole.entry(1)(x[0]))


def test_an_entry_depends_on_its_own_seed_only() -> None:
    for one, other in zip(stack(Mine, (3, 7)).entry(1).parameters(), stack(Mine, seed=7).parameters()):
        assert torch.equal(one, other)
    again = stack(Mine).with_seeds((7,)).state_dict()
    assert all(torch.equal(v, again[k]) for k, v in stack(Mine, seed=7).state_dict().items())


def test_an_entry_is_the_network_that_the_user_would_have_drawn_and_counts_its_parameters() -> None:
    whole = stack(Mine, (0, 1))
    names = dict(Mine().named_parameters())
    assert [n.removeprefix("network.") for n, _ in whole.named_parameters()] == list(names)
    assert whole.parameter_count() == sum(p.numel() for p in names.values())
    assert whole.network.mix.weight is whole.network.mirror.weight  # tied stays tied


def test_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    stack(Mine, range(3)).entry(1)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("seeds", [(3, 7, 11), (7,)])
def test_gradients_of_a_stack_are_those_of_its_entries(seeds: tuple[int, ...]) -> None:
    whole, x = stack(Mine, seeds).double(), states(len(seeds), 5, 1, 12)
    whole(x).square().mean((1, 2, 3)).sum().backward()
    for i in range(len(seeds)):
        single = whole.entry(i)
        single(x[i]).square().mean().backward()
        for mine, own in zip(whole.parameters(), single.parameters()):
            assert mine.grad is not None and own.grad is not None
            torch.testing.assert_close(mine.grad[i], own.grad[0], rtol=0, atol=1e-14)


def test_training_a_stack_is_training_its_entries() -> None:
    """Float64, 60 Adam updates; Adam divides by the root of the second moment, which lifts round-off of 1e-16 by some decades."""
    u = states(2, 4, 4, 1, 12) * 0.5

    def trained(seeds: int | tuple[int, ...], rows: list[int]) -> dict[str, Tensor]:
        stepper = predict(stack(Mine, **seed_options(seeds)).double(), dt=1.0)
        window = Window(u[rows], {}, 2) if len(rows) > 1 else Window(u[rows[0]], {}, 1)
        train(stepper, Unrolled(stepper, "wig:3"), lambda step, horizon: window, TrainingConfig(steps=60, lr=1e-3, horizon=3))
        return {k: v.detach().clone() for k, v in stepper.state_dict().items()}

    together = trained((3, 7), [0, 1])
    for i, seed in enumerate((3, 7)):
        for name, value in trained(seed, [i]).items():
            torch.testing.assert_close(together[name][i], value[0], rtol=0, atol=1e-10)


def test_what_cannot_be_stacked_is_refused() -> None:
    for factory, complaint in (
        (lambda: nn.Sequential(nn.Conv1d(1, 1, 1), nn.BatchNorm1d(1)), "BatchNorm1d keeps batch statistics"),
        (nn.Identity, "Identity has no trainable parameters"),
        (lambda: 3, "must return a network .*, got int"),
    ):
        with pytest.raises(ValueError, match=complaint):
            stack(factory, (0, 1))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one seed"):
        stack(Mine, ())
    with pytest.raises(ValueError, match=r"write seeds=range\(8\) for a stack, seed=8 for one network"):
        stack(Mine, seeds=8)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"expected \(\[2 seeds,\] batch, channels, 1 grid axes\), got \(3, 4, 1, 8\)"):
        stack(Mine, (0, 1))(torch.zeros(3, 4, 1, 8))
