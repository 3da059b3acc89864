"""A curriculum is its stages one after another: same weights kept, horizon, rate and optimiser anew."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import eddygrad as eg
from eddygrad.fitting.corrector import prepare
from eddygrad.fitting.recipe import TrainingRecipe
from eddygrad.training.curriculum import Curriculum
from eddygrad.training.loop import Loop
from eddygrad.training.schedule import Cosine, Plateau

RECIPE = TrainingRecipe(unroll="wig:4", steps=9, batch=2, budget=4, lr=1e-2, schedule="cosine", curriculum=(1, 2, 4), curriculum_rates=(1, 0.5, 0.1))


@pytest.fixture(scope="module")
def split() -> eg.Split:
    data = eg.recipes.kuramoto_sivashinsky.training(frames=30, domains=(1.0,), warmup=50).generate(progress=False)
    return data.split(val=0, test=0)


def stepper() -> eg.Corrected:
    return eg.correct(eg.recipes.kuramoto_sivashinsky.coarse(), eg.nets.ResNet(4, 1, seeds=(0, 1)), features=eg.domain_size())


def weights(module: torch.nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in module.parameters()]


def test_a_curriculum_is_its_stages_one_after_another(split: eg.Split) -> None:
    whole = eg.fit(stepper(), split, RECIPE, progress=False)
    by_hand, windows = stepper(), []
    for horizon, rate in zip((1, 2, 4), (1, 0.5, 0.1)):
        stage = replace(RECIPE, unroll=f"wig:{horizon}", steps=3, lr=1e-2 * rate, curriculum=(), curriculum_rates=())
        objective, batch_at, training = prepare(by_hand, split, stage)
        offset = len(windows)
        loop = Loop(by_hand, objective, lambda step, h, b=batch_at, o=offset: b(step + o, h), training)
        for _ in range(3):
            windows.append(batch_at(loop.step + offset, horizon).u.shape[1:3])
            loop.update()
    assert [tuple(w) for w in windows] == [(8, 2)] * 3 + [(4, 3)] * 3 + [(2, 5)] * 3  # as many frames at every horizon
    for ours, reference in zip(weights(whole.stepper), weights(by_hand)):
        assert torch.equal(ours, reference)


def test_a_killed_curriculum_goes_on_to_the_same_bits(split: eg.Split, tmp_path: Path) -> None:
    recipe = replace(RECIPE, checkpoint_every=1)
    whole = eg.fit(stepper(), split, recipe, folder=tmp_path / "whole", progress=False)
    for stop in (3, 4, 6):  # before and behind a stage's first update
        half = stepper()
        objective, batch_at, training = prepare(half, split, recipe)
        loop = Loop(half, objective, batch_at, training)
        for _ in range(stop):
            loop.update()
        again = stepper()
        other = Loop(again, *prepare(again, split, recipe))
        other.load(loop.state())
        while not other.over:
            other.update()
        for ours, reference in zip(weights(again), weights(whole.stepper)):
            assert torch.equal(ours, reference), stop


def test_horizon_and_rate_by_update() -> None:
    plan = Curriculum((1, 2, 4), schedule=Cosine(final=0.5))
    assert [plan.horizon(k, 7) for k in range(7)] == [1, 1, 2, 2, 4, 4, 4]
    assert plan.starts(7) == [0, 2, 4]
    expected = [r * (0.5 + 0.5 * (1 + math.cos(math.pi * x)) / 2) for r, n in ((1, 2), (0.1, 2), (0.01, 3)) for x in (i / n for i in range(n))]
    assert [plan.factor(k, 7) for k in range(7)] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Curriculum(()), "expected horizons of at least one step"),
        (lambda: Curriculum((1, 0)), "expected horizons of at least one step"),
        (lambda: Curriculum((1, 2), (1.0,)), "expected 2 positive factors"),
        (lambda: Curriculum((1, 2), (1.0, 0.0)), "expected 2 positive factors"),
        (lambda: Curriculum((1, 2), schedule=Plateau()), "the plateau schedule cannot start again"),
        (lambda: Curriculum((1, 2, 4)).starts(2), "3 stages need as many updates"),
        (lambda: replace(RECIPE, curriculum=(1, 2)).rate_schedule, "4 last"),
        (lambda: replace(RECIPE, curriculum=(8, 4)).rate_schedule, "4 last"),
        (lambda: replace(RECIPE, unroll="push:4/2").rate_schedule, "expected horizons up to that of one, nog or wig"),
    ],
)
def test_what_is_no_curriculum_is_named(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_one_may_have_the_rates_of_a_curriculum_at_its_one_horizon(split: eg.Split) -> None:
    run = eg.fit(stepper(), split, replace(RECIPE, unroll="one", curriculum=(1, 1, 1)), progress=False)
    assert run.fit.steps == 9
