"""Recorded numbers: substeps as an observer counts them, files, killed runs, and diagnostics that are refused."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import xarray as xr
from cases.flow_data import PLANE, decaying_flows, made
from torch import Tensor

import eddygrad.datasets as ds
from eddygrad.datasets import FlowDiagnostics
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.adaptive import AdaptiveSubsteps
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.wrap import wrap


@pytest.mark.parametrize("warmup", [0, 1, 3])
def test_recorded_substeps_are_those_that_an_observer_counts(warmup: int) -> None:
    """A frame has the numbers of the steps since the frame before; frame 0 those of the last steps of the warm-up, if any."""
    stepper = AdaptiveSubsteps(ETDRK(NavierStokesVelocity(viscosity=0.05), PLANE, dt=0.1, order=4), courant=0.05)
    data = made(None, stepper=stepper, warmup=warmup, shard_samples=5)
    told: dict[str, list[float]] = {"substeps": [], "courant": []}
    step, u = stepper.at({}, decaying_flows(), lambda name, value: told[name].append(float(value))), decaying_flows()
    for k in range(warmup + 3 * 2):
        u = step(u, k)
    for name, over in (("substeps", sum), ("courant", max)):
        first = told[name][:warmup][-2:]
        frames = [first, *[told[name][warmup + 2 * j : warmup + 2 * j + 2] for j in range(3)]]
        expected = torch.tensor([over(f) if f else 0.0 for f in frames], dtype=torch.float64).expand(5, 4)
        torch.testing.assert_close(data.diagnostics[name], expected, rtol=1e-12, atol=0)
    after = data.diagnostics["substeps"][0, 1:].sum() + sum(told["substeps"][:warmup][-2:])
    assert float(after) == sum(told["substeps"][max(0, warmup - 2) :]) and len(set(told["substeps"])) > 1
    assert float(data.diagnostics["courant"].max()) <= 0.05


def test_batches_choose_their_own_substeps_and_recording_does_not_change_the_states() -> None:
    initial = decaying_flows() * torch.tensor([1.0, 1, 4, 4, 1]).reshape(-1, 1, 1, 1)
    data = made(None, initial=initial)
    counts = data.diagnostics["substeps"]
    assert torch.equal(counts[0], counts[1]) and torch.equal(counts[2], counts[3]) and (counts[2] > counts[0]).all()

    @dataclass(frozen=True)
    class Silent:
        inner: Any
        dt: float = 0.1
        differentiable: bool = True

        def at(self, params: Any, like: Tensor, observe: Any = None) -> Any:
            return self.inner.at(params, like)

    stepper = AdaptiveSubsteps(ETDRK(NavierStokesVelocity(viscosity=0.05), PLANE, dt=0.1, order=4), courant=0.1)
    silent = made(None, initial=initial, stepper=Silent(stepper), diagnose=None, grid=PLANE)
    assert torch.equal(silent.all(), data.all()) and silent.diagnostics == {}


@pytest.mark.parametrize("where", ["folder", "one.nc", None])
def test_diagnostics_are_the_same_after_writing_and_opening(tmp_path: Path, where: str | None) -> None:
    whole, data = made(None), made(where and tmp_path / where)
    names = ["courant", "enstrophy", "greatest_speed", "kinetic_energy", "substeps"]
    assert sorted(data.diagnostics) == names and f"diagnostics={names}" in repr(data)
    assert all(torch.equal(data.diagnostics[n], whole.diagnostics[n]) and data.diagnostics[n].shape == (5, 4) for n in names)
    assert data.attrs["diagnostics"] == {
        "courant": "1", "enstrophy": "1/s^2", "greatest_speed": "m/s", "kinetic_energy": "m^2/s^2", "substeps": "1"
    }  # fmt: skip
    assert data.attrs["diagnose"] == repr(FlowDiagnostics(PLANE)) and data.fingerprint == whole.fingerprint
    if where is not None:
        ds.validate(tmp_path / where)
        file = tmp_path / where if where == "one.nc" else tmp_path / where / "shard-00000.nc"
        with xr.open_dataset(file, engine="h5netcdf") as seen:
            assert seen.enstrophy.dims == ("sample", "time") and seen.enstrophy.units == "1/s^2" and seen.enstrophy.dtype == np.float64
            assert np.array_equal(seen.enstrophy.values, whole.diagnostics["enstrophy"][: seen.sizes["sample"]].numpy())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "whole"
    made(folder)
    return folder


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
from cases.flow_data import decaying_flows, made
flows = decaying_flows()
def initial(span):
    if span.start == 2 and "to the end" not in sys.argv:
        os.kill(os.getpid(), signal.SIGKILL)
    return flows[span.start : span.stop]
made(sys.argv[1], initial=initial, samples=5)
"""


def test_a_killed_run_continues_to_the_same_bits(tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", KILLED]

    def run(name: str, *more: str) -> int:
        return subprocess.run([*command, str(tmp_path / name), str(Path(__file__).parents[1]), *more], env=environment).returncode

    assert run("killed") == -signal.SIGKILL
    assert sorted(f.name for f in (tmp_path / "killed").iterdir()) == ["manifest.json", "shard-00000.nc"]
    assert run("killed", "to the end") == run("whole", "to the end") == 0
    a, b = ({f.name: f.read_bytes() for f in (tmp_path / name).iterdir()} for name in ("killed", "whole"))
    assert a == b and len(a) == 4


def test_another_diagnosis_is_another_configuration(whole: Path) -> None:
    with pytest.raises(ValueError, match="expected data of this configuration"):
        made(whole, diagnose=None)


@dataclass(frozen=True)
class Named:
    """Records `value` under one name; `count` values per batch instead of one per sample."""

    name: str
    value: float = 0.0
    count: int | None = None
    grid: ClassVar[None] = None

    @property
    def units(self) -> dict[str, str]:
        return {self.name: "1"}

    def __call__(self, u: Tensor) -> dict[str, Tensor]:
        return {self.name: torch.full((len(u) if self.count is None else self.count,), self.value)}


@pytest.mark.parametrize(
    "diagnose,text",
    [
        (Named("time"), "'time' cannot name a diagnostic"),
        (Named("velocity_x"), "'velocity_x' cannot name a diagnostic"),
        (Named("viscosity"), "'viscosity' cannot name a diagnostic"),
        (Named("a b"), "'a b' cannot name a diagnostic"),
        (Named("substeps"), "is recorded by AdaptiveSubsteps itself"),
        (Named("two", count=2), "one number per sample"),
        (FlowDiagnostics(Grid((16, 16), 1.0)), "the grid of the solver"),
        (Named("endless", math.inf), "NaN or Inf for 'endless' after step 3 in sample 0"),
    ],
)
def test_bad_diagnostics_are_refused(diagnose: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text) as caught:
        made(None, diagnose=diagnose, params={"viscosity": 0.05})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("how,times,text", [("sum", 2, "once per step, got 6 in 3 steps"), ("least", 1, "one of sum, max, mean")])
def test_a_stepper_must_report_once_per_step(how: str, times: int, text: str) -> None:
    class Reporting:
        dt, differentiable, observed = 1.0, False, {"iterations": how}

        def at(self, params: Any, like: Tensor, observe: Any = None) -> Any:
            def step(u: Tensor) -> Tensor:
                for _ in range(times):
                    observe("iterations", torch.arange(len(u)))
                return u

            return wrap(step, dt=1.0, code="").at(params, like)

    with pytest.raises(ValueError, match=text):
        made(None, stepper=Reporting(), diagnose=None)
    if times == 1:
        Reporting.observed = {"iterations": "max"}
        data = made(None, stepper=Reporting(), diagnose=None, shard_samples=5)
        assert data.diagnostics["iterations"].tolist() == [[s] * 4 for s in range(5)] and data.attrs["diagnostics"] == {"iterations": "1"}
