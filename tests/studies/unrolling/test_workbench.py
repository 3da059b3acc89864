"""A comparison on a plane, and one whose seeds are spread over runs."""

import dataclasses
import json
import shutil
import types

import numpy as np
import pytest
import torch

from eddygrad.correctors.features import Features, Pressure
from eddygrad.datasets.dataset import Dataset
from eddygrad.datasets.recipes import kolmogorov
from eddygrad.evaluation import metrics
from eddygrad.evaluation.evaluate import evaluate
from eddygrad.fitting import test_result
from eddygrad.solver.equations.navier_stokes import NavierStokesVorticity
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.vector_calculus import pressure
from eddygrad.studies.shared.run_files import BASELINE
from eddygrad.studies.unrolling import settings
from eddygrad.studies.unrolling import study as compare
from eddygrad.studies.unrolling.config import UnrollingConfiguration
from eddygrad.studies.unrolling.costs import measure
from eddygrad.studies.unrolling.report.trajectories import on_plane
from eddygrad.studies.unrolling.results.comparisons import comparisons
from eddygrad.studies.unrolling.results.load import fields, load
from eddygrad.studies.unrolling.results.run import TestSet
from eddygrad.studies.unrolling.study import UnrollingStudy
from eddygrad.studies.unrolling.workbench import Bench

TINY = UnrollingConfiguration(
    name="tiny-plane",
    recipe="kolmogorov",
    tasks=("correct",),
    unroll=("one", "wig:4"),
    network="encoder-decoder:32k",
    seeds=3,
    seeds_per_run=2,
    steps=6,
    batch=1,
    curriculum=(1, 2, 4),
    lr=(1e-3, 3e-3),
    schedule=("constant",),
    tune_steps=3,
    tune_seeds=1,
    frames=12,
    starts=1,
    horizon=5,
    long_horizon=8,
    validate_every=3,
    checkpoint_every=2,
)
RUNS = [f"correct-{unroll}-encoder-decoder-32k-s{part}" for unroll in ("one", "wig4") for part in ("0-1", "2-2")]


@pytest.fixture(scope="module", autouse=True)
def short():
    """The recipe without the hundreds of frames in which its flow becomes turbulent."""
    whole = settings.SETTINGS["kolmogorov"]()
    cut = dataclasses.replace(
        whole,
        training=lambda frames: kolmogorov.training(frames, (300.0, 900.0), warmup=2),
        testing=lambda starts, horizon, seed: kolmogorov.testing(starts, horizon, warmup=2, seed=seed),
        validation=lambda: kolmogorov.validation(8, (300.0, 900.0), warmup=2),
        baselines={name: whole.baselines[name] for name in ("32^2 (solver alone)", "48^2")},
    )
    patch = pytest.MonkeyPatch()
    patch.setitem(settings.SETTINGS, "kolmogorov", lambda: cut)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def finished(short, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plane") / "tiny"
    UnrollingStudy(TINY, folder).run(threads=1, progress=False)
    return folder


def records(folder):
    return {path.stem: json.loads(path.read_text()) for path in sorted((folder / "runs").glob("*.json"))}


def test_runs_share_the_learning_rate_of_their_pair_and_are_read_as_one(finished):
    found = records(finished)
    assert sorted(n for n, r in found.items() if r["kind"] == "model") == RUNS
    for first, second in (RUNS[:2], RUNS[2:]):
        assert found[first]["tuning"] == found[second]["tuning"] and len(found[first]["tuning"]) == 2
        assert found[first]["training"]["learning_rate"] == found[second]["training"]["learning_rate"]
    study = load(finished)
    one, wig = study.models
    assert (one.name, one.seeds, wig.seeds) == ("correct-one-encoder-decoder-32k", (0, 1, 2), (0, 1, 2))
    assert one.training.seconds == sum(found[n]["training"]["seconds"] for n in RUNS[:2])
    assert study.metric == "mse" and one.error("mse").tolist() == [np.mean(e) for n in RUNS[:2] for e in found[n]["test"]["metrics"]["mse"]]
    ratio = next(c for c in comparisons(study) if c.kind == "modality")
    assert ratio.paper == 0.89 and ratio.ratio.sizes == (3, 3)
    assert one.curve["validation"].shape[0] == 3 and one.network_label == "EncoderDecoder of 32,376 parameters"


def test_seeds_trained_apart_are_those_trained_together(finished, tmp_path):
    UnrollingStudy(dataclasses.replace(TINY, seeds_per_run=None, unroll=("wig:4",)), tmp_path).run(threads=1, progress=False)
    apart, whole = load(finished).models[1], load(tmp_path).models[0]
    assert whole.path.stem == "correct-wig4-encoder-decoder-32k" == apart.name
    # 32-bit sums in another order, amplified by six updates and eight frames.
    np.testing.assert_allclose(apart.error("mse"), whole.error("mse"), rtol=1e-4)


@pytest.fixture
def copied(finished, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    return folder


def changed(path, change):
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def test_a_part_that_lost_all_its_seeds_stays_in_the_comparison(copied):
    def lose(record):
        record["training"] |= {"updates_until_all_diverged": 4, "diverged": [True]}
        record["test"]["metrics"]["mse"] = [[30.0] * len(record["test"]["metrics"]["mse"][0])]
        for key in ("step", "loss", "validation"):
            record["curve"][key] = record["curve"][key][:1]
        record["curve"]["step"] = [4]

    changed(copied / "runs" / f"{RUNS[1]}.json", lose)
    one = load(copied).models[0]
    assert one.seeds == (0, 1, 2) and one.training.diverged == (False, False, True) and one.error("mse")[2] == 30
    assert one.curve["step"].tolist() == [3, 4, 6]
    assert np.isnan(one.curve["validation"]).tolist() == [[False, True, False]] * 2 + [[True, False, True]]


def test_parts_that_do_not_belong_together_are_refused(copied):
    changed(copied / "runs" / f"{RUNS[1]}.json", lambda record: record["training"].update(learning_rate=0.5))
    with pytest.raises(ValueError, match=r"expected the learning_rate of .*another part of this run") as caught:
        load(copied)
    assert "\n" not in str(caught.value)


def test_a_choice_made_for_other_candidates_is_made_again(copied):
    other = dataclasses.replace(TINY, lr=(1e-3, 5e-3), unroll=("one",))
    run = other.planned[0]
    assert compare._tuned(copied, TINY.planned[0]) is not None and compare._tuned(copied, run) is None


def test_a_killed_study_goes_on_with_the_missing_part(copied, finished):
    (copied / "runs" / f"{RUNS[3]}.json").unlink()
    (copied / "tuning" / "correct-wig4-encoder-decoder-32k.json").unlink()
    shutil.rmtree(copied / "work" / RUNS[3])
    UnrollingStudy(TINY, copied).run(threads=1, progress=False)
    for name in (RUNS[2], RUNS[3]):
        assert records(copied)[name]["test"]["metrics"] == records(finished)[name]["test"]["metrics"]


def test_the_estimate_counts_tuning_once_and_every_part(finished, tmp_path):
    study = UnrollingStudy(TINY, tmp_path / "none")
    rows = study.estimate(updates=1, threads=1)
    assert [row.run for row in rows] == RUNS and not (tmp_path / "none").exists()
    assert [row.updates for row in rows] == [6 + 3, 6, 6 + 3, 6]  # two candidates of three updates, one seed in place of two


def test_a_plane_that_is_no_velocity_is_drawn_as_it_is(tmp_path):
    w = torch.randn(2, 9, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    data = Dataset.from_tensor(w, {"viscosity": 1e-2}, dt=0.1, channels=["vorticity"])
    solver = ETDRK(NavierStokesVorticity(), data.grid, dt=0.1)
    score = evaluate(solver, data, 5)
    test_result.TestResult(score, {}, {"name": "alone", **BASELINE, "kind": "model", "task": "correct", "unroll": "one", "seeds": [0]}).write(
        tmp_path
    )
    drawn = fields(types.SimpleNamespace(path=tmp_path / "runs" / "alone.json"))
    assert drawn["channel"].values.tolist() == ["vorticity"]
    run = types.SimpleNamespace(task="correct", modality="ONE", test=types.SimpleNamespace(sets=[TestSet("test", "test", 2, {})]))
    assert on_plane(run, drawn).axes[0].images


def test_the_endpoint_is_the_mean_squared_error_of_the_velocity(finished):
    bench = Bench(TINY, folder=UnrollingStudy(TINY, finished).data)
    coarse, truth = bench.setting.coarse, bench.test.all()
    u, total = truth[:, 0], 0.0
    step = coarse.at(bench.test.params, u)
    for k in range(1, 6):
        u = step(u)
        total = total + (u - truth[:, k]).square().mean((1, 2, 3)) / 5
    alone = records(finished)["baseline-32-2--solver-alone"]
    torch.testing.assert_close(torch.tensor(alone["test"]["metrics"]["mse"][0]), total, rtol=1e-4, atol=0)


def test_the_smagorinsky_baseline_is_the_best_candidate_on_validation_data(finished):
    tuning = records(finished)["baseline-smagorinsky--tuned"]["tuning"]
    bench = Bench(TINY, folder=UnrollingStudy(TINY, finished).data)
    assert [t["stepper"] for t in tuning] == [repr(s) for s in bench.setting.tuned["Smagorinsky, tuned"]]
    window = bench.data.val.windows(5, [0, 1, 2])
    for chosen, stepper in zip(tuning, bench.setting.tuned["Smagorinsky, tuned"]):
        u, frames = window.u[:, 0], [window.u[:, 0]]
        step = stepper.at(window.params, u)
        for _ in range(5):
            frames.append(step(frames[-1]))
        error = metrics.rellinf(torch.stack(frames, 1), window.u, 2).mean()
        assert chosen["validation"] == pytest.approx(float(error), rel=1e-4)
    best = min(range(len(tuning)), key=lambda i: tuning[i]["validation"])
    scored = evaluate(bench.setting.tuned["Smagorinsky, tuned"][best], bench.test, TINY.horizon).metrics["mse"]
    others = evaluate(bench.setting.tuned["Smagorinsky, tuned"][best - 1], bench.test, TINY.horizon).metrics["mse"]
    got = torch.tensor(records(finished)["baseline-smagorinsky--tuned"]["test"]["metrics"]["mse"])
    torch.testing.assert_close(got, scored.double().float(), rtol=1e-5, atol=0)
    assert (got - others).abs().max() > 1e-4 * got.max()


def test_the_network_sees_the_pressure_and_the_reynolds_number():
    shown, u = settings.setting("kolmogorov").features, torch.randn(2, 3, 2, 32, 32, dtype=torch.float64)
    params = {"viscosity": torch.tensor([1 / 300, 1 / 600, 1 / 1000], dtype=torch.float64).reshape(3, 1, 1, 1)}
    channels = shown(u, params, 2)
    assert channels.shape == (2, 3, 4, 32, 32) and shown.extra_channels == 2
    assert torch.equal(channels[:, :, :2], u) and torch.equal(channels[:, :, 2:3], pressure(u, kolmogorov.coarse().grid))
    expected = torch.tensor([0.3, 0.6, 1.0], dtype=torch.float64)
    torch.testing.assert_close(channels[0, :, 3], expected.reshape(3, 1, 1).expand(3, 32, 32), rtol=1e-12, atol=0)
    assert Features(fields=(Pressure(kolmogorov.coarse().grid),)) == Features(fields=(Pressure(kolmogorov.coarse().grid),))


def test_the_report_shows_planes(finished):
    pictures = fields(load(finished).models[0])
    assert pictures["prediction"].dims == ("set", "time", "channel", "x", "y") and pictures["prediction"].shape == (2, 6, 2, 32, 32)
    assert (pictures["prediction"][:, 0] == pictures["reference"][:, 0]).all() and pictures["uncorrected"].shape == (2, 6, 2, 32, 32)
    page = UnrollingStudy(TINY, finished).report().read_text()
    assert "Re=1000, correction" in page and "Smagorinsky, tuned" in page and "0.89" in page


def test_costs_of_all_runs_are_measured(finished):
    measure(UnrollingStudy(TINY, finished), rounds=1, updates=1, progress=False)
    found = records(finished)
    assert all("costs" in run["environment"] for run in found.values())
    assert all(r["training"]["seconds"] == pytest.approx(6 * r["training"]["seconds_per_update"]) for r in found.values() if r["kind"] == "model")


def test_data_are_made_once_and_stay_for_the_next_process(finished):
    data = UnrollingStudy(TINY, finished).data
    stamps = {p: p.stat().st_mtime_ns for p in data.rglob("*.nc")}
    assert stamps
    Bench(TINY, folder=data)
    assert stamps == {p: p.stat().st_mtime_ns for p in data.rglob("*.nc")}


@pytest.mark.parametrize(
    "options,text",
    [
        ({"network": "unet"}, "network: expected one of resnet, encoder-decoder:32k"),
        ({"curriculum": (1, 2)}, "expected horizons up to that of one, nog or wig"),
        ({"seeds_per_run": 0}, "seeds_per_run must be at least one"),
        ({"curriculum": (1, 3, 4)}, "are no multiple of the horizon 3"),
        ({"schedule": ("constant", "plateau")}, "plateau schedule cannot start again in every stage"),
        ({"tune_steps": 2}, "3 stages need as many updates"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(options, text):
    with pytest.raises(ValueError, match=text) as caught:
        dataclasses.replace(TINY, **options)
    assert "\n" not in str(caught.value)
