"""Settings of a training: intervals, budgets, descriptions."""

from __future__ import annotations

from cases.fitting_cases import data, network, refusal

from eddygrad.correctors.compose import predict
from eddygrad.fitting.corrector import fit_stepper
from eddygrad.fitting.recipe import TrainingRecipe, TrainingSettings
from eddygrad.training.objectives.unrolled import Unrolling


def test_a_short_training_is_validated_five_times_and_a_long_one_every_thousand() -> None:
    assert [TrainingRecipe(steps=steps).validation_interval for steps in (1, 4, 10, 500, 5000, 20_000)] == [1, 1, 2, 100, 1000, 1000]
    assert TrainingRecipe(steps=10, validate_every=7).validation_interval == 7
    curve = fit_stepper(predict(network(0), 1.0), data(), unroll="one", steps=10, batch=2, progress=False).fit.curve
    assert [record["step"] for record in curve] == [2, 4, 6, 8, 10]


def test_a_policy_by_object_is_its_name_and_settings_are_shared() -> None:
    assert TrainingRecipe(unroll=Unrolling(4, "always")) == TrainingRecipe(unroll="nog:4")
    recipe = TrainingSettings(steps=7, clip=0.5).recipe_with(unroll="one", steps=9)
    assert recipe == TrainingRecipe(unroll="one", steps=9, clip=0.5)


def test_a_budget_that_a_horizon_does_not_divide_is_one_line() -> None:
    assert "frames are no multiple of the horizon 3; change the batch" in refusal(lambda: TrainingRecipe(batch=4, budget=4).windows_of(3))
    assert [TrainingRecipe(batch=4, budget=4).windows_of(h) for h in (1, 2, 4)] == [16, 8, 4]
