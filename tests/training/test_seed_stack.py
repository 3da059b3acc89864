"""Stacked seeds do what single runs do; a diverged seed leaves the others alone."""

import json

import pytest
import torch
from cases.training_cases import batches_of, corrected, dataset, distance, flat

from eddygrad.training import Constant, Guard, Loop, Plateau, TrainingConfig, Unrolled, train

SEEDS = (0, 3, 5)


def run(stepper, batch_at, **options):
    options = {"steps": 30, "lr": 3e-3, "horizon": 2} | options
    objective, folder = options.pop("objective", Unrolled), options.pop("folder", None)
    return train(stepper, objective(stepper, options.pop("unroll", "wig:2")), batch_at, TrainingConfig(**options), folder)


def stacked(data, dtype=torch.float64, **options):
    stepper = corrected(SEEDS, dtype=dtype)
    return stepper, run(stepper, data.batches(3, SEEDS), **options)


def single(data, seed, dtype=torch.float64, **options):
    stepper = corrected(seed, dtype=dtype)
    return stepper, run(stepper, batches_of(data, 3, seed), **options)


def weights(stepper, index=0):
    return flat([p[index] for p in stepper.parameters()])


@pytest.mark.parametrize("dtype,tolerance", [(torch.float32, 1e-4), (torch.float64, 1e-10)])
@pytest.mark.parametrize("unroll", ["nog:2", "wig:2"])
def test_every_parameter_equals_the_single_runs_after_200_updates(dtype, tolerance, unroll, record_property):
    data = dataset(dtype=dtype)
    stack, _ = stacked(data, dtype, unroll=unroll, steps=200)
    worst = 0.0
    for index, seed in enumerate(SEEDS):
        alone, _ = single(data, seed, dtype, unroll=unroll, steps=200)
        worst = max(worst, (weights(stack, index) - weights(alone)).abs().max().item())
        assert distance(weights(alone), weights(corrected(seed, dtype=dtype))) > 0.02
    record_property("largest deviation", worst)
    assert worst < tolerance


class Poisoned(Unrolled):
    """The loss of one seed becomes NaN at update 7."""

    index, at, calls = 1, 7, 0

    def forward(self, window):
        loss = super().forward(window)["data"]
        factor = torch.ones_like(loss)
        if self.calls == self.at:
            factor.view(-1)[self.index] = float("nan")
        self.calls += 1
        return {"data": loss * factor}


def test_a_nan_in_one_seed_leaves_the_others_bitwise_unchanged(tmp_path):
    data = dataset()
    clean, _ = stacked(data)
    with pytest.warns(RuntimeWarning, match=r"fit: frozen at update 7: seed 3 \(loss nan\); the other 2 go on"):
        sick, result = stacked(data, objective=Poisoned, folder=tmp_path)
    until, _ = stacked(data, steps=7)
    assert result.diverged == [False, True, False] and result.frozen_at == [-1, 7, -1]
    for index in (0, 2):
        assert torch.equal(weights(sick, index), weights(clean, index))
    assert torch.equal(weights(sick, 1), weights(until, 1))
    last = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["diverged"] == [3]


def test_nan_in_the_data_or_weights_of_one_seed_leaves_the_others_bitwise_unchanged():
    data = dataset()
    clean, _ = stacked(data, unroll="nog:2")
    batches = data.batches(3, SEEDS)

    def spoiled(step, horizon):
        w = batches(step, horizon)
        if step >= 4:
            w.u[1, 0, 0, 0, 3] = float("inf")
        return w

    ill = corrected(SEEDS)
    with pytest.warns(RuntimeWarning, match="frozen at update 4: seed 3"):
        result = run(ill, spoiled, unroll="nog:2")
    with_nan = corrected(SEEDS)
    with torch.no_grad():
        with_nan.network.layers[1].weight[1, 0, 0, 0] = float("nan")
    with pytest.warns(RuntimeWarning, match="frozen at update 0: seed 3"):
        other = run(with_nan, batches, unroll="nog:2")
    assert result.frozen_at == [-1, 4, -1] and other.frozen_at == [-1, 0, -1]
    for index in (0, 2):
        assert torch.equal(weights(ill, index), weights(clean, index)) and torch.equal(weights(with_nan, index), weights(clean, index))


def test_a_single_run_stops_at_a_nan_and_a_stack_ends_with_its_last_seed():
    data = dataset()

    class Single(Poisoned):
        index = 0

    with pytest.raises(FloatingPointError, match="the run has diverged: loss nan at update 7") as caught:
        single(data, 3, objective=Single)
    assert "\n" not in str(caught.value)
    stepper = corrected((4,))
    with pytest.warns(RuntimeWarning, match="none is left, training ends here"):
        result = run(stepper, data.batches(3, (4,)), objective=Single)
    assert result.frozen_at == [7] and result.diverged == [True] and result.steps == 8


def test_a_stack_that_is_lost_before_its_first_update_is_an_error(tmp_path):
    """A solver that knows only NaN: nothing was trained, and no folder may say so."""
    data = dataset()
    batches = data.batches(3, SEEDS)

    def nothing(step, horizon):
        w = batches(step, horizon)
        return w._replace(u=w.u * float("nan"))

    with pytest.raises(
        FloatingPointError, match=r"no seed can be trained, at update 0 there is seed 0 \(loss nan\), seed 3 .* look for NaN in"
    ) as caught:
        run(corrected(SEEDS), nothing, folder=tmp_path)
    assert "\n" not in str(caught.value) and not (tmp_path / "checkpoint.pt").exists() and not (tmp_path / "weights.safetensors").exists()


@pytest.mark.parametrize("rule", [{"clip": 0.02}, {"outlier": 1.1, "settle": 3, "decay": 0.9}, {"clip": 0.05, "outlier": 1.2, "settle": 2}])
def test_clipping_and_outlier_skipping_are_per_seed(rule):
    data = dataset()
    stack, result = stacked(data, guard=Guard(**rule))
    for index, seed in enumerate(SEEDS):
        alone, one = single(data, seed, guard=Guard(**rule))
        assert (result.clipped[index], result.skipped[index]) == (one.clipped[0], one.skipped[0])
        assert (weights(stack, index) - weights(alone)).abs().max() < 1e-10
    assert (sum(result.clipped) > 0) == ("clip" in rule) and (sum(result.skipped) > 0) == ("outlier" in rule)
    plain, _ = stacked(data)
    assert distance(flat(list(stack.parameters())), flat(list(plain.parameters()))) > 1e-6


def test_clipping_scales_to_the_limit_and_skipping_looks_at_the_moving_average():
    guard = Guard(clip=1.0, outlier=3.0, decay=0.5, settle=2).start(2)
    rows = [([2.0, 0.0], [0.3, 0.4]), ([4.0, 0.0], [0.5, 0.0]), ([8.9, 0.0], [1.6, 0.0]), ([9.1, 0.0], [0.9, 0.0])]
    admitted, after = [], []
    for step, pair in enumerate(rows):
        grad = torch.tensor(pair)
        admitted.append(guard.admit(torch.ones(2), grad, step, (0, 1)))
        after.append(grad.norm(dim=1).tolist())
    # Averages: 2, 3, 5.95 | .5, .5, (1.6 > 1.5 skipped, counts as 1.5) 1, .95.
    assert admitted == [[True, True], [True, True], [True, False], [True, True]]
    assert guard.skipped == [0, 1] and guard.clipped == [4, 0]
    assert guard.average == pytest.approx([(5.95 + 9.1) / 2, 0.95], rel=1e-6)
    assert [a[0] for a in after] == pytest.approx([1.0] * 4) and after[2][1] == pytest.approx(1.6)


def test_a_rise_that_lasts_is_let_through_and_a_spike_is_not():
    guard, admitted = Guard(outlier=2.0, settle=10).start(1), []
    norms = [1.0] * 20 + [3.0] * 60 + [1e9] + [3.0] * 5
    for step, norm in enumerate(norms):
        admitted += guard.admit(torch.ones(1), torch.tensor([[norm]]), step, None)
    # Each skip multiplies the average by .99 + .01 * 2 = 1.01; the cutoff 2 * 1.01^n reaches 3 at n = ln 1.5 / ln 1.01 = 40.7.
    assert admitted == [True] * 20 + [False] * 41 + [True] * 19 + [False] + [True] * 5 and guard.skipped == [42]
    still = Guard(outlier=2.0, settle=2).start(1)
    assert all(still.admit(torch.ones(1), torch.full((1, 1), norm), 0, None) == [True] for norm in (0.0, 0.0, 0.0, 1.0))
    for rule in ({"outlier": 1.0}, {"clip": 0.0}):
        with pytest.raises(ValueError, match="outlier > 1 and clip > 0 expected"):
            Guard(**rule)


@pytest.mark.parametrize("where,text", [("state", "loss nan at update 4, sample 2 of its window"), ("gradient", "gradient that is not finite")])
def test_a_single_run_names_the_sample_at_which_it_stops(where, text):
    data = dataset()
    batches = batches_of(data, 3, 0)

    def spoiled(step, horizon):
        w = batches(step, horizon)
        if step == 4 and where == "state":
            w.u[2, 1, 0, 5] = float("nan")
        return w

    class Cusp(Unrolled):
        """sqrt(0) at the second sample: a finite loss without a finite slope."""

        def forward(self, window):
            losses = super().forward(window)
            p = next(self.parameters())
            second = batches(0, 2).u[1, 0]
            hit = any(torch.equal(u, second) for u in window.u[:, 0])
            return {"data": losses["data"] + ((p - p.detach()).square().sum().sqrt() if hit else 0)}

    with pytest.raises(FloatingPointError, match=text) as caught:
        stepper = corrected(0)
        run(stepper, spoiled, objective=Cusp if where == "gradient" else Unrolled)
    assert "\n" not in str(caught.value) and (where == "state" or "at update 0, sample 1 of its window" in str(caught.value))


def test_plateau_is_per_seed():
    data = dataset()
    errors = iter([[1.0, 1.0, 1.0], [0.5, 1.0, 0.999], [0.25, 1.0, 0.5], [0.2, 1.0, 0.5], [0.1, 1.0, 0.5], [0.05, 1.0, 0.5]])
    stepper = corrected(SEEDS)
    plan = TrainingConfig(
        steps=60,
        lr=1e-3,
        schedule=Plateau(rate=0.1, patience=1, stop=0.05),
        horizon=2,
        validate=lambda m: torch.tensor(next(errors)),
        validate_every=10,
    )
    loop, rates = Loop(stepper, Unrolled(stepper, "nog:2"), data.batches(3, SEEDS), plan), []
    frozen = None
    for step in range(60):
        loop.update()
        if step == 49:
            frozen = weights(stepper, 1)
        if loop.step % 10 == 0:
            rates.append([group["lr"] for group in loop.optimizer.param_groups])
            loop.validate()
    # Seed 3 waits at validations 2, 3 (cut), 4, 5 (cut: .01 < .05, stopped); seed 5 at 2, then improves, waits at 4, 5 (cut).
    assert rates[0] == rates[1] == rates[2] == [1e-3] * 3
    assert rates[3] == rates[4] == pytest.approx([1e-3, 1e-4, 1e-3]) and rates[5] == pytest.approx([1e-3, 1e-5, 1e-4])
    assert torch.equal(weights(stepper, 1), frozen)
    assert not torch.equal(weights(stepper, 2), weights(corrected(SEEDS), 2))


def test_a_plan_can_be_used_twice():
    data, guard = dataset(), Guard(clip=0.02)
    plan = TrainingConfig(steps=10, horizon=2, guard=guard, schedule=Constant())
    results = []
    for seeds in (SEEDS, (1, 2)):
        stepper = corrected(seeds)
        results.append(train(stepper, Unrolled(stepper, "nog:2"), data.batches(3, seeds), plan))
    assert [len(r.clipped) for r in results] == [3, 2]
    schedule = Plateau(patience=0)
    for seeds in (SEEDS, (1, 2)):
        stepper = corrected(seeds)
        plan = TrainingConfig(steps=4, schedule=schedule, horizon=2, validate=lambda m: torch.ones(len(m.seeds)), validate_every=1)
        loop = Loop(stepper, Unrolled(stepper, "nog:2"), data.batches(3, seeds), plan)
        loop.update()
        loop.validate()
        assert [group["lr"] for group in loop.optimizer.param_groups] == [1e-3] * len(seeds)
