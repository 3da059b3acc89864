"""Generated frames are powers of the step, and a killed run continues to the same bits."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from torch import nn

import eddygrad.datasets as ds
from eddygrad.datasets.generate import generate
from eddygrad.datasets.kept_fields import Downsampled
from eddygrad.datasets.recipes import kuramoto_sivashinsky as ks
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.initial import random_fourier
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.vector_calculus import leray
from eddygrad.solver.wrap import wrap


def halve(u, rate):
    return u * rate


def cube(u):
    return u**3


def run(path, stepper=None, **changes):
    options = {"frames": 4, "stride": 3, "warmup": 2, "shard_samples": 2, "store_dtype": torch.float64, "progress": False, "seed": 5} | changes
    initial = options.pop("initial", torch.arange(1.0, 6.0, dtype=torch.float64).reshape(5, 1, 1).expand(5, 1, 4).contiguous())
    params = options.pop("params", {"rate": torch.tensor([0.5, 0.25, 2.0, 1.0, 0.75])})
    return ds.generate(stepper or wrap(halve, dt=0.1), initial, params, path, **options)


@pytest.mark.parametrize("where", ["folder", "one.nc", None])
def test_frames_are_powers_of_the_step(tmp_path, where):
    data = run(where and tmp_path / where)
    assert (data.samples, data.frames, data.channels) == (5, 4, ("u",)) and data.dt == pytest.approx(0.3, abs=1e-15)
    for s, rate in enumerate((0.5, 0.25, 2.0, 1.0, 0.75)):
        for j in range(4):
            # Powers of two and three quarters are exact in float64.
            assert (data.frames_at(s, j) == (s + 1) * rate ** (2 + 3 * j)).all()
    assert data.params["rate"].shape == (5, 1, 1)
    assert {k: data.attrs[k] for k in ("warmup", "stride", "seed", "frames")} == {"warmup": 2, "stride": 3, "seed": 5, "frames": 4}


def test_the_same_from_a_function_of_sample_numbers(tmp_path):
    states = torch.arange(1.0, 6.0, dtype=torch.float64).reshape(5, 1, 1).expand(5, 1, 4)
    lazy = run(tmp_path / "lazy", initial=lambda span: states[span.start : span.stop], samples=5, grid=Grid((4,)))
    assert torch.equal(lazy.all(), run(None).all())
    with pytest.raises(ValueError, match="samples must be given"):
        run(tmp_path / "other", initial=lambda span: states)


def test_second_call_computes_nothing(tmp_path):
    calls = []

    def counted(u, rate):
        calls.append(len(u))
        return u * rate

    stepper = wrap(counted, dt=0.1)  # wrapped once: what a function holds belongs to its identity, and `calls` grows
    first = run(tmp_path / "folder", stepper)
    assert sum(calls) == 5 * (2 + 3 * 3)
    again = run(tmp_path / "folder", stepper)
    assert sum(calls) == 5 * (2 + 3 * 3) and torch.equal(first.all(), again.all())


def test_deleted_shard_is_made_again_bitwise(tmp_path):
    run(tmp_path / "folder")
    before = contents(tmp_path / "folder")
    (tmp_path / "folder" / "shard-00001.nc").unlink()
    run(tmp_path / "folder")
    assert contents(tmp_path / "folder") == before


@pytest.mark.parametrize("where", ["folder", "one.nc"])
@pytest.mark.parametrize(
    "change,text",
    [
        ({"frames": 5}, "frames=5"),
        ({"warmup": 0}, "warmup=0"),
        ({"seed": 6}, "seed=6"),
        ({"params": {"rate": 0.5}}, "params_sha256"),
        ({"initial": torch.ones(5, 1, 4)}, "initial_sha256"),
        ({"stepper": wrap(halve, dt=0.2)}, "dt="),
        ({"store_dtype": torch.float32}, "dtype="),
    ],
)
def test_another_configuration_in_the_same_place_is_an_error(tmp_path, where, change, text):
    run(tmp_path / where)
    with pytest.raises(ValueError, match="choose another path") as caught:
        run(tmp_path / where, **change)
    assert text in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("where", ["folder", "one.nc"])
def test_an_edited_function_is_another_configuration(tmp_path, where):
    def written(source):
        namespace = {"__name__": "mine"}
        exec(source, namespace)
        return wrap(namespace["step"], dt=0.1)

    source = "def step(u, rate):\n    return u * rate + 0.125\n"
    run(tmp_path / where, written(source))
    run(tmp_path / where, written("# moved, with a comment\n\n" + source))
    with pytest.raises(ValueError, match=r"stepper=.wrap\(step.*code=.*choose another path"):
        run(tmp_path / where, written(source.replace("0.125", "0.25")))


def test_other_weights_are_another_configuration(tmp_path):
    class Learned(nn.Module):
        dt, differentiable = 1.0, True

        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(0.5))

        def at(self, params, like, observe=None):
            return lambda u, k=0: u * self.scale

    stepper = Learned()
    run(tmp_path / "folder", stepper)
    with torch.no_grad():
        stepper.scale.mul_(0.5)
    with pytest.raises(ValueError, match="weights_sha256"):
        run(tmp_path / "folder", stepper)


def test_non_finite_state_names_step_and_sample(tmp_path):
    # 2^(3^k) passes float64's 2^1024 at k = 7 (2187) and float32's 2^128 at k = 5 (243); 1 stays 1.
    initial = torch.tensor([1.0, 1.0, 1.0, 2.0], dtype=torch.float64).reshape(4, 1, 1).expand(4, 1, 4)
    options = {"initial": initial, "params": {}, "grid": Grid((4,)), "warmup": 0, "frames": 5}
    with pytest.raises(ValueError, match="after step 7 in sample 3;") as caught:
        run(tmp_path / "a", wrap(cube, dt=1.0), **options)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="after step 5 in sample 3;"):
        run(tmp_path / "b", wrap(cube, dt=1.0), **options | {"store_dtype": torch.float32})
    with pytest.raises(ValueError, match="after step 7 in sample 3;"):
        run(tmp_path / "c", wrap(cube, dt=1.0), **options | {"warmup": 9})
    assert not any(f.name.startswith("shard-00001") for f in (tmp_path / "a").iterdir())


@pytest.mark.parametrize(
    "change,text", [({"frames": 0}, "frames >= 1"), ({"samples": 3}, "leave it out"), ({"channels": ("a", "b")}, "one name per channel")]
)
def test_bad_arguments_are_named(tmp_path, change, text):
    with pytest.raises(ValueError, match=text):
        run(tmp_path / "folder", **change)


def test_progress_goes_to_stderr_only(tmp_path, capsys):
    run(tmp_path / "folder", progress=True)
    out, err = capsys.readouterr()
    assert out == "" and "generate" in err


KILLED = """
import sys, torch
from eddygrad.datasets.recipes import kuramoto_sivashinsky as ks
torch.set_num_threads(1)
print("ready", flush=True)
ks.training(frames=150, warmup=10).generate(sys.argv[1], progress=False, shard_samples=3)
print("done", flush=True)
"""


def contents(folder):
    """Checksums of the manifest and of the states themselves, and every byte of the files."""
    manifest = json.loads((folder / "manifest.json").read_text())
    return manifest, {f.name: f.read_bytes() for f in sorted(folder.iterdir())}


def test_killed_at_any_moment_it_continues_to_the_same_bits(tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    begin = time.perf_counter()
    whole = ks.training(frames=150, warmup=10).generate(tmp_path / "whole", progress=False, shard_samples=3)
    seconds = time.perf_counter() - begin
    torch.set_num_threads(threads)
    moments = [0.05, 0.5]  # fractions of an unkilled run, all in one folder, then one call to the end
    killed, environment = 0, {**os.environ, "OMP_NUM_THREADS": "1"}
    for moment in [*moments, None]:
        command = [sys.executable, "-c", KILLED, str(tmp_path / "killed")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
            if moment is not None:
                time.sleep(moment * seconds)
                process.send_signal(signal.SIGKILL)
            rest = process.stdout.read()
            killed += process.wait() == -signal.SIGKILL
    assert rest == "done\n" and killed >= 1
    again = ds.open(tmp_path / "killed")
    assert torch.equal(again.all(), whole.all())
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    ds.validate(tmp_path / "killed")


def test_a_state_that_is_not_finite_is_named_before_it_is_stored() -> None:
    grid = Grid((16, 16))
    u = 1e4 * leray(random_fourier(grid, 1, 2, bandlimit=4, seed=0), grid)
    stepper = ETDRK(NavierStokesVelocity(viscosity=1e-4), grid, dt=1.0)
    with pytest.raises(ValueError, match="NaN or Inf after step"):
        generate(stepper, u, {}, None, frames=30, progress=False, stored=Downsampled(grid, (8, 8), ("u", "v")))
