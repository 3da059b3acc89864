"""The command line: what it answers, what it refuses and how, and that it goes on where it stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import eddygrad as eg
from eddygrad.cli.main import COMMANDS, main, parse
from eddygrad.solver.schemes.spectral import spectral_scheme

TINY = ["--width", "4", "--depth", "1", "--seeds", "2", "--frames", "30"]
DEVICES = [("simulate", []), ("generate", ["--out", "none.nc"]), ("train", []), ("evaluate", []), ("compare", ["--estimate"])]
TINY_TRAIN = [*TINY, "--steps", "20", "--validate-every", "10", "--unroll", "nog:2"]


def answer(capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main([*args, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def complaint(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """The one line on standard error of a command that ends with 2 and says nothing else."""
    capsys.readouterr()
    assert main(list(args)) == 2
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if line.startswith("eddygrad: ")]
    assert len(lines) == 1 and "Traceback" not in err and err.rstrip().endswith(lines[0]) and not out
    return lines[0]


def test_help_names_every_command_and_each_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    overview = capsys.readouterr().out
    for name in COMMANDS:
        assert f"\n  {name} " in overview
        with pytest.raises(SystemExit) as end:
            main([name, "--help"])
        assert end.value.code == 0
        text = capsys.readouterr().out
        assert f"example: eddygrad {name} " in text and "--config" in text and "--json" in text


def test_help_of_a_command_is_that_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    texts = []
    for args in (["help", "validate"], ["validate", "--help"]):
        with pytest.raises(SystemExit) as end:
            main(args)
        assert end.value.code == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] and sum(line.startswith("example: eddygrad validate ") for line in texts[0].splitlines()) == 2
    assert "expected one of generate, " in complaint(capsys, "help", "fly")


def test_the_examples_in_the_help_parse() -> None:
    for name, command in COMMANDS.items():
        kind = command.load()
        examples = [line.split() for line in (kind.__doc__ or "").splitlines() if line.strip().startswith("example: eddygrad")]
        assert examples and all(words[2] == name and isinstance(parse(name, words[3:]), kind) for words in examples)


def test_generate_then_validate_then_a_flipped_byte(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "data"
    args = ("generate", "kuramoto-sivashinsky/testing", "--starts", "2", "--frames", "4", "--shard-samples", "4", "--out", str(folder))
    assert answer(capsys, *args)["samples"] == 8
    # The command is the library's recipe, to the last bit.
    recipe = eg.recipes.kuramoto_sivashinsky.testing(2, 3).generate(shard_samples=4, progress=False)
    assert bool((eg.open(folder).all() == recipe.all()).all())
    assert answer(capsys, "validate", str(folder)) == {
        "path": str(folder), "kind": "data set", "samples": 8, "frames": 4, "stepper": repr(eg.presets.kuramoto_sivashinsky())
    }  # fmt: skip
    assert "expected data of this configuration" in complaint(capsys, *args, "--seed", "1")
    shard = folder / "shard-00001.nc"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(bytes(content))
    assert "shard-00001.nc" in complaint(capsys, "validate", str(folder))


def test_simulate_draws_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture, out = tmp_path / "a" / "ks.png", tmp_path / "ks.nc"
    found = answer(capsys, "simulate", "--frames", "20", "--domain", "0.85", "--out", str(picture), "--data", str(out))
    assert picture.read_bytes().startswith(b"\x89PNG") and eg.open(out).frames == 20
    assert 1.0 < found["rms"] < 1.7 and abs(found["mean"]) < 0.1  # the attractor's rms is 1.31
    # Refused before a frame is computed: this many would take days.
    told = complaint(capsys, "simulate", "--frames", "1000000000", "--out", str(tmp_path / "ks.bmp"))
    assert "expected a name that ends in one of .png, .pdf, .svg, got " in told
    blown = complaint(capsys, "simulate", "--order", "1", "--frames", "200", "--out", str(picture))
    assert "expected finite states, got NaN or Inf after step" in blown


def test_train_evaluate_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "mine"
    trained = answer(capsys, "train", *TINY_TRAIN, "--out", str(folder))
    assert len(trained["validation"]) == 2 and trained["updates"] == 20
    assert {"weights.safetensors", "weights.json", "metrics.jsonl", "curve.png"} <= {p.name for p in folder.iterdir()}
    before = (folder / "weights.safetensors").read_bytes()
    assert answer(capsys, "train", *TINY_TRAIN, "--out", str(folder))["validation"] == trained["validation"]
    assert (folder / "weights.safetensors").read_bytes() == before
    assert "holds a run of another configuration" in complaint(capsys, "train", *TINY_TRAIN, "--lr", "0.1", "--out", str(folder))
    scored = answer(capsys, "evaluate", str(folder), "--starts", "2", "--long-horizon", "14")
    runs = {run["name"]: run for run in scored["runs"]}
    assert set(runs) == {"correct-nog2", "persistence", "coarse", "coarse:dt/2", "reference"}
    assert runs["reference"]["error"] < 1e-10 < runs["coarse:dt/2"]["error"] < runs["coarse"]["error"]
    alone = answer(capsys, "evaluate", "--starts", "2", "--long-horizon", "14")
    errors = {run["name"]: run["error"] for run in alone["runs"]}
    assert errors["persistence"] == pytest.approx(runs["persistence"]["error"], rel=1e-5)
    assert Path(answer(capsys, "report", str(folder))["report"]).read_text().startswith("<!doctype html>")
    assert answer(capsys, "validate", str(folder))["models"] == 1
    assert "train first" in complaint(capsys, "evaluate", str(tmp_path))


def test_evaluate_takes_the_frames_it_needs_and_refuses_a_horizon_that_does_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "test.nc"
    made = (
        "generate",
        "kuramoto-sivashinsky/testing",
        "--starts",
        "1",
        "--frames",
        "41",
        "--dtype",
        "float64",
        "--device",
        "cpu",
        "--out",
        str(data),
    )
    answer(capsys, *made)
    assert eg.open(data).attrs["device"] == "cpu" and eg.open(data).dtype.itemsize == 8
    args = ("evaluate", "--data", str(data), "--baselines", "coarse")
    errors = {dtype: answer(capsys, *args, "--dtype", dtype, "--device", "cpu")["runs"][0]["error"] for dtype in ("float32", "float64")}
    assert errors["float32"] != errors["float64"] and errors["float32"] == pytest.approx(errors["float64"], rel=1e-3)  # round-off grows e-fold in 12
    (short,) = answer(capsys, *args, "--dtype", "float64", "--long-horizon", "12")["runs"]
    # The rest of the trajectory has no part in the error.
    assert short["error"] == errors["float64"]
    assert "horizon 41 needs 42 frames, got trajectories of 41" in complaint(capsys, *args, "--horizon", "41")
    assert "long_horizon 50 needs 51 frames, got trajectories of 41" in complaint(capsys, *args, "--long-horizon", "50")


def test_compare_estimates_runs_and_does_nothing_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "mine.toml"
    config.write_text('tasks = "correct"\nunroll = ["one", "nog:2"]\nsteps = 10\nlr = 1\nstarts = 1\nlong_horizon = 12\nname = "tiny"\n')
    folder = tmp_path / "study"
    args = ("compare", "--config", str(config), *TINY, "--lr", "1e-3", "--folder", str(folder))
    estimate = answer(capsys, *args, "--estimate")["estimate"]
    assert [row["run"] for row in estimate] == ["correct-one-w4d1", "correct-nog2-w4d1"] and not folder.exists()
    first = answer(capsys, *args)
    assert len(first["ratios"]) > 0 and all((folder / n).exists() for n in ("report.html", "results.json", "results.csv", "study.json"))
    stamps = {p: p.stat().st_mtime_ns for p in (folder / "runs").iterdir()}
    again = answer(capsys, *args)
    assert again["estimate"] == [] and again["runs"] == first["runs"]
    assert {p: p.stat().st_mtime_ns for p in (folder / "runs").iterdir()} == stamps
    assert "was made with seeds=2, got 3" in complaint(capsys, *args, "--seeds", "3")


def test_layers_preset_then_file_then_command_line(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('steps = 5\nwidth = 6\nfolder = "elsewhere"\n')
    command: Any = parse("compare", ["--preset", "demo", "--config", str(config), "--width=7"])
    study = command.study
    assert (study.name, study.seeds, study.steps, study.width, command.folder) == ("demo", 8, 5, 7, Path("elsewhere"))
    config.write_text('preset = "ks-paper"\nseeds = 2\n')
    study = parse("compare", [f"--config={config}"]).study  # type: ignore[attr-defined]
    assert (study.name, study.steps, study.lr, study.seeds) == ("ks-paper", 45_000, (1e-4,), 2)


@pytest.mark.parametrize(
    "text, said",
    [
        ("stepz = 3", "unknown key 'stepz'; did you mean 'steps'? known keys: batch, "),
        ("steps = 2.5", "steps: expected int, got float 2.5"),
        ("steps = true", "steps: expected int, got bool True"),
        ('lr = ["a"]', "lr: expected float, got str 'a'"),
        ("unroll = [3]", "unroll: expected str, got int 3"),
        ("steps = ", "is not TOML"),
        ('unroll = ["nog"]', "unroll: expected one of 'one', 'nog:M'"),
        ("frames = 3", "horizon 3 needs 4 frames, got frames=3"),
    ],
)
def test_a_bad_file_is_one_line(text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "bad.toml"
    config.write_text(text + "\n")
    assert said in complaint(capsys, "compare", "--config", str(config))


@pytest.mark.parametrize(
    "args, said",
    [
        (["fly"], "expected one of generate, simulate, "),
        (["compare", "--config", "nowhere.toml"], "expected a TOML file, got nowhere.toml, which does not exist"),
        (["compare", "--preset", "dmeo"], "expected one of ['demo', "),
        (["compare", "--stepz", "3"], "Unrecognized options: --stepz, 3 Perhaps you meant: --steps"),
        (["compare", "--tasks", "corect"], "compare: tasks: expected some of correct, predict, got 'corect'"),
        (["train", "--steps", "many"], "invalid literal for int() with base 10: 'many'"),
        (["train", "soup"], "recipe: expected one of ['kolmogorov', 'kolmogorov-piso', 'kuramoto-sivashinsky', 'wake'], got 'soup'"),
        (["train", "--unroll", "nog:50", "--frames", "20"], "train: --unroll nog:50 needs 51 frames, got --frames 20; take more or unroll less"),
        (["train", "--unroll", "wig:3/5"], "'wig:3/5' unrolls 3 steps, so a cut after 5 never happens"),
        *(([name, *more, "--device", "cuda:99"], "device: expected one of cpu") for name, more in DEVICES),
        *(([name, *more, "--device", "gpu"], "got 'gpu'") for name, more in DEVICES),
        (["train", "--data", "nowhere.nc"], "nowhere.nc"),
        (["generate"], "Missing from eddygrad generate: --out"),
        (["evaluate", "nowhere"], "expected a folder of eddygrad train, got nowhere, which does not exist"),
        (
            ["evaluate", "--baselines", "corse"],
            "evaluate: expected baselines among persistence, coarse, coarse:dt/N (N > 1) and reference, got 'corse'",
        ),
        (["report", "nowhere"], "expected finished runs as runs/NAME.json, got none"),
        (["validate", "nowhere"], "expected a data set or a study, got nowhere"),
        (["validate"], "physics of this installation: eddygrad check"),
        (["check", "vibes"], "no check is called ['vibes']"),
        (["simulate", "--threads", "0"], "threads: expected at least one, got 0"),
    ],
)
def test_a_bad_option_is_one_line(args: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said in complaint(capsys, *args)


def test_check_measures_physics_and_fails_when_it_is_wrong(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = answer(capsys, "check", "linear", "mean")
    assert [row["check"] for row in found["checks"]] == ["linear", "mean"] and found["failed"] == 0
    # The wrong sign of the second derivative: linear modes no longer grow as they should.
    monkeypatch.setattr(eg.KuramotoSivashinsky, "symbol", lambda self, k, params: (-(k[0] ** 2) - k[0] ** 4,))
    spectral_scheme._shared.cache_clear()
    try:
        assert main(["check", "linear"]) == 1
    finally:
        spectral_scheme._shared.cache_clear()
    assert "FAIL" in capsys.readouterr().out


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "info")
    assert found["environment"]["eddygrad"] == eg.__version__ and "demo" in found["comparisons"]
    assert found["recipes"] == ["kolmogorov", "kolmogorov-piso", "kuramoto-sivashinsky", "wake"] and "cpu" in found["devices"]


def test_a_traceback_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDDYGRAD_DEBUG", "1")
    with pytest.raises(ValueError, match="nowhere"):
        main(["report", "nowhere"])


def test_interrupted_says_how_to_go_on_and_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C once a checkpoint exists; the same command then ends with the weights of an undisturbed run."""
    # Enough updates after the first checkpoint that the signal comes before the last of them: seconds, against a poll of .02 s.
    args = ["train", *TINY_TRAIN, "--steps", "300", "--checkpoint-every", "10", "--batch", "4"]
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    command = [sys.executable, "-m", "eddygrad", *args, "--out", str(stopped)]

    def heed_interrupts() -> None:  # a job that a shell started in the background ignores them, and its children with it
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ, preexec_fn=heed_interrupts)
    deadline = time.monotonic() + 60
    while not (stopped / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command resumes the work" in err and f"--out {stopped}" in err and "Traceback" not in err
    assert not (stopped / "weights.safetensors").exists()
    for folder in (stopped, whole):
        answer(capsys, *args, "--out", str(folder))
    assert (stopped / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()


def test_generate_makes_flows_and_names_an_option_that_a_recipe_does_not_have(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "flow.nc"
    main(["generate", "decaying-turbulence", "--starts", "1", "--frames", "2", "--warmup", "0", "--reynolds", "500", "--out", str(path)])
    data = eg.open(path)
    assert (data.frames, data.channels, 1 / float(data.params["viscosity"])) == (2, ("velocity_x", "velocity_y"), pytest.approx(500))
    assert "active-turbulence has no --reynolds; it takes --frames" in complaint(
        capsys, "generate", "active-turbulence", "--reynolds", "3", "--out", str(tmp_path / "x.nc")
    )
