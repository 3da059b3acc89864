"""Settings of a training: intervals, budgets, descriptions."""

from __future__ import annotations

from cases.fitting_cases import data, network

from eddygrad.correctors.compose import predict
from eddygrad.fitting.corrector import fit_stepper
from eddygrad.fitting.recipe import TrainingRecipe


def test_a_short_training_is_validated_five_times_and_a_long_one_every_thousand() -> None:
    assert [TrainingRecipe(steps=steps).validation_interval for steps in (1, 4, 10, 500, 5000, 20_000)] == [1, 1, 2, 100, 1000, 1000]
    assert TrainingRecipe(steps=10, validate_every=7).validation_interval == 7
    curve = fit_stepper(predict(network(0), 1.0), data(), unroll="one", steps=10, batch=2, progress=False).fit.curve
    assert [record["step"] for record in curve] == [2, 4, 6, 8, 10]
