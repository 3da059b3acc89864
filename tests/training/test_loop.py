"""The loop: Adam as torch's, schedules, equal budgets, resume to the same bits, and errors that say what to do."""

import json
import math

import pytest
import torch
from cases.training_cases import batches_of, corrected, dataset, flat, solver
from torch import nn
from torch.nn import functional as F

from eddygrad.datasets.dataset import Split
from eddygrad.fitting import corrector
from eddygrad.fitting.recipe import TrainingRecipe
from eddygrad.fitting.validation import Validation
from eddygrad.training import Cosine, Exponential, Guard, Plateau, TrainingConfig, Unrolled, train
from eddygrad.training.checkpoint import load_state, save_state
from eddygrad.training.schedule import Constant, schedule


class Plain(nn.Module):
    """The same network in torch's layers, for torch's own optimiser."""

    def __init__(self, network):
        super().__init__()
        self.layers = nn.ModuleList()
        for layer in network.layers:
            w = layer.weight[0].detach()
            mine = nn.Conv1d(w.shape[1], w.shape[0], 3, padding=1, padding_mode="circular").double()
            mine.weight.data, mine.bias.data = w.clone(), layer.bias[0].detach().clone()
            self.layers.append(mine)

    def forward(self, x):
        lift, one, two, drop = self.layers
        x = lift(x)
        return drop(F.leaky_relu(two(F.leaky_relu(one(x), 0.01)) + x, 0.01))


def test_adam_on_rows_is_adam_on_the_plain_module():
    data, stepper = dataset(), corrected(2)
    plain = Plain(stepper.network)
    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-2)
    batch_at = batches_of(data, 3, 2)
    for k in range(50):
        w = batch_at(k, 2)
        step, u, loss = solver().at(w.params, w.u[:, 0]), w.u[:, 0], 0.0
        for t in (1, 2):
            u = step(u) + 0.25 * plain(torch.cat([u, (w.params["length"] / (16 * math.pi)).expand_as(u)], 1))
            loss = loss + (u - w.u[:, t]).square().mean() / 2
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * 0.5 ** (k // 20)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    plan = TrainingConfig(steps=50, lr=1e-2, schedule=Exponential(0.5, 20), horizon=2)
    train(stepper, Unrolled(stepper, "wig:2"), batch_at, plan)
    # Fifty Adam updates of round-off in another order.
    assert (flat(list(stepper.parameters())) - flat(list(plain.parameters()))).abs().max() < 1e-11


def test_schedules_in_closed_form():
    assert [Constant().factor(k, 10) for k in (0, 9)] == [1, 1]
    assert [Exponential(0.9, 2000).factor(k, 1) for k in (0, 1999, 2000, 6001)] == pytest.approx([1, 1, 0.9, 0.9**3])
    cosine = Cosine(final=0.1)
    assert [cosine.factor(k, 100) for k in (0, 25, 50, 100, 200)] == pytest.approx([1, 0.1 + 0.45 * (1 + math.sqrt(0.5)), 0.55, 0.1, 0.1])
    warm = Cosine(final=0.0, warmup=4)
    assert [warm.factor(k, 104) for k in range(5)] == pytest.approx([0.25, 0.5, 0.75, 1, 1]) and warm.factor(54, 104) == pytest.approx(0.5)
    assert isinstance(schedule("plateau"), Plateau)
    with pytest.raises(ValueError, match="expected one of"):
        schedule("linear")


def test_learning_lowers_the_loss_and_the_error_on_other_trajectories():
    data = dataset(frames=40).split(val=0.25, test=0)
    validation, objective = (
        Validation(data.val, 12),
        lambda stepper: Unrolled(stepper, "wig:2")(data.train.batches(64, (0, 1))(0, 2))["data"],
    )
    stepper = corrected((0, 1), width=6)
    loss, error = objective(stepper).detach(), validation(stepper)
    trained = corrector.fit_stepper(stepper, data, unroll="wig:2", steps=100, batch=8, lr=1e-2, validate_every=50, progress=False)
    assert (objective(stepper) < 0.05 * loss).all() and (validation(stepper) < 0.05 * error).all()
    assert trained.fit.curve[-1]["validation"] == pytest.approx(validation(stepper).tolist(), rel=1e-12)
    idle = corrected(0)
    with torch.no_grad():
        for p in idle.parameters():
            p.zero_()
    assert (validation(stepper) < validation(idle)).all()


def test_one_gets_the_budget_of_the_longest_horizon():
    data = Split(dataset(), dataset(), dataset())
    for unroll, windows in (("one", 12), ("nog:3", 4), ("wig:3", 4), ("push:3/1", 4)):
        recipe = TrainingRecipe(unroll=unroll, batch=4, budget=3)
        _, batch_at, training = corrector.prepare(corrected((0, 1)), data, recipe)
        w = batch_at(0, training.horizon_at(0))
        assert recipe.windows_per_update == windows and w.u.shape[:3] == (2, windows, recipe.unrolling.horizon + 1)
        assert recipe.frames_per_update == 12
    assert TrainingRecipe(unroll="one", batch=4).windows_per_update == 4


def test_frames_per_update_are_told_where_they_differ(capsys):
    for unroll, frames in (("one", 2), ("nog:3", 6)):
        trained = small(None, unroll=unroll, progress=True)
        assert trained.as_json()["training"]["frames_per_update"] == frames
        assert f"fit {unroll}, {frames} frames per update" in capsys.readouterr().err


class Interrupted(Exception):
    pass


def plan():
    """Everything with a state of its own: a plateau on a function of the weights, clipping, outlier skipping."""
    return TrainingConfig(
        steps=40,
        lr=1e-2,
        horizon=2,
        schedule=Plateau(rate=0.5, patience=0, threshold=1e-9),
        guard=Guard(clip=0.05, outlier=1.02, settle=2, decay=0.5),
        validate=lambda module: torch.stack([p.flatten(1).square().sum(1) for p in module.parameters()]).sum(0),
        validate_every=4,
        log_every=3,
        checkpoint_every=7,
    )


def lines(folder):
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("stop", [3, 7, 26])
def test_resume_in_the_middle_is_bitwise_the_unbroken_run(tmp_path, stop):
    data = dataset()

    def go(folder, interrupt=None):
        stepper = corrected((0, 1))
        batches = data.batches(3, (0, 1))

        def batch_at(step, horizon):
            if step == interrupt:
                raise Interrupted
            return batches(step, horizon)

        return stepper, train(stepper, Unrolled(stepper, "wig:2"), batch_at, plan(), folder, description={"name": "a"})

    whole, result = go(tmp_path / "whole")
    with pytest.raises(Interrupted):
        go(tmp_path / "broken", interrupt=stop)
    with open(tmp_path / "broken" / "metrics.jsonl", "a") as file:
        file.write('{"step": ')
    again, resumed = go(tmp_path / "broken")
    assert (tmp_path / "broken" / "weights.safetensors").read_bytes() == (tmp_path / "whole" / "weights.safetensors").read_bytes()
    assert torch.equal(flat(list(whole.parameters())), flat(list(again.parameters())))
    assert lines(tmp_path / "broken") == lines(tmp_path / "whole") and resumed.curve == result.curve
    assert (resumed.skipped, resumed.clipped) == (result.skipped, result.clipped) and sum(result.skipped) > 0 and sum(result.clipped) > 0
    state = [load_state(tmp_path / name / "checkpoint.pt") for name in ("whole", "broken")]
    assert state[0]["plateau"] == state[1]["plateau"] and min(state[0]["plateau"]["factor"]) < 1
    assert torch.equal(state[0]["optimizer"]["state"][1]["exp_avg_sq"], state[1]["optimizer"]["state"][1]["exp_avg_sq"])
    finished, _ = go(tmp_path / "broken")
    assert torch.equal(flat(list(finished.parameters())), flat(list(again.parameters())))


def test_a_lost_log_does_not_become_a_file_of_zeros(tmp_path):
    data, stepper = dataset(), corrected((0, 1))
    train(stepper, Unrolled(stepper, "wig:2"), data.batches(3, (0, 1)), plan(), tmp_path)
    (tmp_path / "metrics.jsonl").unlink()
    train(stepper, Unrolled(stepper, "wig:2"), data.batches(3, (0, 1)), plan(), tmp_path)
    assert b"\0" not in (tmp_path / "metrics.jsonl").read_bytes()


def small(folder, stepper=None, data=None, **options):
    data = data or Split(dataset(), dataset(), dataset())
    options = {"unroll": "nog:2", "steps": 4, "batch": 2, "validation_horizon": 4, "checkpoint_every": 2, "progress": False} | options
    return corrector.fit_stepper(stepper or corrected((0, 1)), data, folder=folder, **options)


@pytest.mark.parametrize(
    "change,told",
    [
        ({"steps": 5}, "recipe steps=4, got steps=5;"),
        ({"lr": 2e-3}, "recipe lr=0.001, got lr=0.002;"),
        ({"unroll": "wig:2"}, "recipe unroll='nog:2', got unroll='wig:2';"),
        ({"stepper": "wider"}, "stepper width=4, got width=5;"),
        ({"stepper": "sequential"}, "stepper sees=state, got sees=solver;"),
        ({"seeds": 3}, "seeds [0, 1], got [0, 1, 2];"),
    ],
)
def test_a_folder_of_another_configuration_is_refused(tmp_path, change, told):
    small(tmp_path)
    before = {f.name: f.read_bytes() for f in tmp_path.iterdir()}
    other = {"wider": corrected((0, 1), width=5), "sequential": corrected((0, 1), "sequential")}
    options = change | ({"stepper": other[change["stepper"]]} if "stepper" in change else {})
    with pytest.raises(ValueError, match=r"another configuration.*choose another folder or delete it") as caught:
        small(tmp_path, **options)
    assert "\n" not in str(caught.value) and before == {f.name: f.read_bytes() for f in tmp_path.iterdir()}
    assert told in str(caught.value), str(caught.value)


@pytest.mark.parametrize("change", ["dtype", "initial weights"])
def test_a_folder_is_bound_to_where_its_run_began(tmp_path, change):
    def go(dtype=torch.float64, factor=1.0):
        data, stepper = dataset().to(dtype=dtype), corrected((0, 1), dtype=dtype)
        with torch.no_grad():
            stepper.network.layers[0].bias[1, 2] *= factor
        return small(tmp_path, stepper, data=Split(data, data, data))

    trained = go()
    described = json.loads((tmp_path / "weights.json").read_text())
    assert (described["dtype"], described["device"]) == ("float64", "cpu") and len(described["initial weights"]) == 16
    with pytest.raises(ValueError, match=f"expected a run with {change} .*, got .*; restore it, choose another folder") as caught:
        go(**{"dtype": torch.float32} if change == "dtype" else {"factor": 1 + 1e-15})
    assert "\n" not in str(caught.value)
    # What this run has trained in place may be given again, and a checkpoint from before this record goes by its weights' dtype.
    assert small(tmp_path, trained.stepper).fit.curve == trained.fit.curve
    assert go().fit.curve == trained.fit.curve
    state = load_state(tmp_path / "checkpoint.pt")
    del state["start"]
    save_state(tmp_path / "checkpoint.pt", state)
    assert go().fit.curve == trained.fit.curve
    if change == "dtype":
        with pytest.raises(ValueError, match="expected a run with dtype float32, got float64"):
            go(torch.float32)


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped", "another file"])
def test_a_damaged_checkpoint_is_one_line(tmp_path, damage):
    small(tmp_path)
    path = tmp_path / "checkpoint.pt"
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    if damage == "another file":
        torch.save({"step": 3}, path)
    else:
        content[middle] ^= 0xFF
        path.write_bytes({"truncated": bytes(content[:middle]), "empty": b"", "flipped": bytes(content)}[damage])
    with pytest.raises(ValueError, match=r"checkpoint.pt.*delete it") as caught:
        small(tmp_path)
    assert "\n" not in str(caught.value)


def test_errors_name_option_horizon_and_plan():
    for call, text in (
        (lambda: small(None, stps=3), r"unknown options \['stps'\]"),
        (lambda: small(None, unroll="nog:24"), "horizon 24 .* needs 25 frames"),
        (lambda: small(None, unroll="both"), "unroll: expected"),
        (lambda: small(None, schedule="linear"), "schedule: expected"),
        (lambda: TrainingConfig(steps=0), "steps"),
        (lambda: TrainingConfig(steps=1, schedule=Plateau()), "pass validate="),
    ):
        with pytest.raises(ValueError, match=text) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_a_curriculum_is_a_function_of_the_update():
    data, stepper, asked = dataset(), corrected((0, 1)), []
    batches = data.batches(3, (0, 1))

    def batch_at(step, horizon):
        asked.append(horizon)
        return batches(step, horizon)

    train(stepper, Unrolled(stepper, "wig:3"), batch_at, TrainingConfig(steps=6, horizon=lambda step: 1 + step // 2))
    assert asked == [1, 1, 2, 2, 3, 3]
