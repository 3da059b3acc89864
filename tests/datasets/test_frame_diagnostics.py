"""Numbers beside the frames: flows whose energy and enstrophy are known, substeps that an observer counted, and the way through files."""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import h5netcdf
import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor

import eddygrad.datasets as ds
from eddygrad.datasets import Dataset, FlowDiagnostics
from eddygrad.datasets.kept_fields import Downsampled
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.initial import random_fourier
from eddygrad.solver.schemes.adaptive import AdaptiveSubsteps
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.transforms import derivative
from eddygrad.solver.vector_calculus import leray, vorticity
from eddygrad.solver.wrap import wrap

ROUND_OFF = 1e-13
PLANE = Grid((16, 16))


def taylor_green(grid: Grid = PLANE) -> Tensor:
    """(sin x cos y, -cos x sin y), (1, 2, *grid)."""
    x, y = grid.points()
    return torch.stack([x.sin() * y.cos(), -x.cos() * y.sin()])[None]


def flow(samples: int = 5, rms: float = 3.0, grid: Grid = PLANE) -> Tensor:
    return rms * leray(random_fourier(grid, samples, 2, bandlimit=3, seed=0), grid)


def made(path: Path | None, **changes: Any) -> Dataset:
    """Five decaying flows, each batch stepped adaptively; four frames, two steps apart, from step 3 on."""
    stepper = AdaptiveSubsteps(ETDRK(NavierStokesVelocity(viscosity=0.05), PLANE, dt=0.1, order=4), courant=0.1)
    options: dict[str, Any] = {"frames": 4, "stride": 2, "warmup": 3, "shard_samples": 2, "store_dtype": torch.float64, "progress": False}
    options |= {"diagnose": FlowDiagnostics(PLANE), "stepper": stepper, "initial": flow(), "params": {}} | changes
    return ds.generate(options.pop("stepper"), options.pop("initial"), options.pop("params"), path, **options)


def test_taylor_green_has_its_energy_and_decays_by_its_law() -> None:
    """E = 1/4 exp(-4 nu t), <w^2>/2 = 1/2 exp(-4 nu t), max |u| = exp(-2 nu t): the vortex has no nonlinear term, so ETDRK is exact."""
    nu, dt = torch.tensor([0.1, 0.02]), 0.5
    solver = ETDRK(NavierStokesVelocity(), PLANE, dt=dt)
    data = made(None, stepper=solver, initial=taylor_green().repeat(2, 1, 1, 1), params={"viscosity": nu}, warmup=0, stride=1)
    decay = torch.exp(-2 * nu.double()[:, None] * dt * torch.arange(4))
    expected = {"kinetic_energy": decay**2 / 4, "enstrophy": decay**2 / 2, "greatest_speed": decay}
    for name, value in expected.items():
        torch.testing.assert_close(data.diagnostics[name], value, rtol=ROUND_OFF, atol=0)


def test_a_beltrami_flow_has_as_much_enstrophy_as_energy() -> None:
    """curl u = u for the flow of Arnold, Beltrami and Childress: E = Z = (A^2 + B^2 + C^2) / 2."""
    grid, (a, b, c) = Grid((8, 9, 10)), (1.0, 0.5, 2.0)
    x, y, z = grid.points()
    u = torch.stack([a * z.sin() + c * y.cos(), b * x.sin() + a * z.cos(), c * y.sin() + b * x.cos()])[None]
    found = FlowDiagnostics(grid)(u)
    for name in ("kinetic_energy", "enstrophy"):
        torch.testing.assert_close(found[name], torch.tensor([(a * a + b * b + c * c) / 2], dtype=torch.float64), rtol=ROUND_OFF, atol=0)


@pytest.mark.parametrize("shape", [(8, 6), (7, 6), (6, 7), (6, 8, 5), (5, 6, 8)])
def test_flow_diagnostics_are_means_over_the_grid(shape: tuple[int, ...]) -> None:
    """White noise with a mean flow, on an oblong box: the sums over modes are the means of the squares of the fields."""
    grid = Grid(shape, (2.0, 5.0, 3.0)[: len(shape)])
    u = torch.randn(3, len(shape), *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.5

    def d(component: int, axis: int) -> Tensor:
        return derivative(u[:, component], grid, [int(a == axis) for a in range(grid.ndim)])

    pairs = [(0, 1)] if grid.ndim == 2 else [(0, 1), (0, 2), (1, 2)]
    curl = torch.stack([d(j, i) - d(i, j) for i, j in pairs], 1)
    if grid.ndim == 2:
        torch.testing.assert_close(curl, vorticity(u, grid), rtol=0, atol=1e-12)
    found = FlowDiagnostics(grid)(u)
    torch.testing.assert_close(found["enstrophy"], curl.square().sum(1).flatten(1).mean(1) / 2, rtol=ROUND_OFF, atol=0)
    torch.testing.assert_close(found["kinetic_energy"], u.square().sum(1).flatten(1).mean(1) / 2, rtol=ROUND_OFF, atol=0)
    torch.testing.assert_close(found["greatest_speed"], u.square().sum(1).flatten(1).amax(1).sqrt(), rtol=ROUND_OFF, atol=0)
    single = FlowDiagnostics(grid)(u.float())
    assert all(value.dtype == torch.float64 and torch.allclose(value, found[name], rtol=1e-6) for name, value in single.items())


def test_energy_is_lost_to_viscosity_as_the_enstrophy_says() -> None:
    """dE/dt = -2 nu Z without a force; Simpson's rule over two frames has an error of fourth order. What is kept lost most of the modes."""
    nu, defect = 0.05, []
    for frames in (9, 17):
        dt = 1.6 / (frames - 1)
        solver = ETDRK(NavierStokesVelocity(viscosity=nu), PLANE, dt=dt, substeps=4, order=4)
        data = made(None, stepper=solver, frames=frames, stride=1, warmup=0, stored=Downsampled(PLANE, (4, 4), ("a", "b")), initial=flow(rms=1.0))
        e, z = data.diagnostics["kinetic_energy"], data.diagnostics["enstrophy"]
        lost = 2 * nu * dt / 3 * (z[:, :-2:2] + 4 * z[:, 1::2] + z[:, 2::2]).sum(1)
        defect.append(float(((e[:, 0] - e[:, -1]) / lost - 1).abs().max()))
    assert defect[1] < 1e-5 and math.log2(defect[0] / defect[1]) > 3.5


@pytest.mark.parametrize("warmup", [0, 1, 3])
def test_recorded_substeps_are_those_that_an_observer_counts(warmup: int) -> None:
    """Per frame those of the steps since the frame before; of frame 0 those of the last steps of the warm-up, of which there may be none."""
    stepper = AdaptiveSubsteps(ETDRK(NavierStokesVelocity(viscosity=0.05), PLANE, dt=0.1, order=4), courant=0.05)
    data = made(None, stepper=stepper, warmup=warmup, shard_samples=5)
    told: dict[str, list[float]] = {"substeps": [], "courant": []}
    step, u = stepper.at({}, flow(), lambda name, value: told[name].append(float(value))), flow()
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


def test_batches_choose_their_own_substeps_and_the_states_do_not_notice() -> None:
    initial = flow() * torch.tensor([1.0, 1, 4, 4, 1]).reshape(-1, 1, 1, 1)
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
def test_written_and_opened_they_are_the_same(tmp_path: Path, where: str | None) -> None:
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


def test_they_go_where_their_samples_and_frames_go(tmp_path: Path) -> None:
    numbers = torch.arange(60.0).reshape(10, 6)
    data = Dataset.from_tensor(torch.randn(10, 6, 1, 4), {"rate": 1.0}, diagnostics={"count": numbers, "age": numbers / 3}, units={"age": "s"})
    assert data.attrs["diagnostics"] == {"count": "1", "age": "s"} and data.diagnostics["count"].dtype == torch.float64
    view = data.select([7, 2]).take(0.5)
    for seen in (view, view.to("cpu", torch.float64), view.save(tmp_path / "view.nc")):
        assert torch.equal(seen.diagnostics["count"], numbers[[7, 2], :3].double())
    for part in data.split(seed=3):
        assert torch.equal(part.diagnostics["age"], data.diagnostics["age"][part.index])
    assert ds.open(tmp_path / "view.nc").attrs["diagnostics"] == {"age": "s", "count": "1"}


def test_the_fingerprint_sees_them() -> None:
    u, numbers = torch.randn(2, 3, 1, 4, generator=torch.Generator().manual_seed(0)), torch.zeros(2, 3)
    prints = {Dataset.from_tensor(u, diagnostics=d).fingerprint for d in (None, {"a": numbers}, {"b": numbers}, {"a": numbers + 1})}
    assert len(prints) == 4 and Dataset.from_tensor(u, diagnostics={}).fingerprint in prints


def test_data_without_them_are_what_they_were(tmp_path: Path) -> None:
    """Checksum, fingerprint and attributes that were computed before data sets had diagnostics."""
    u = torch.arange(24, dtype=torch.float64).reshape(2, 3, 1, 4)
    options: dict[str, Any] = {"units": {"rate": "1/s"}, "pde": "none", "eddygrad": "pinned"}
    data = Dataset.from_tensor(u, {"rate": torch.tensor([0.5, 2.0])}, Grid((4,), 2.0), dt=0.25, **options)
    again = data.save(tmp_path / "tiny.nc")
    with h5netcdf.File(tmp_path / "tiny.nc", "r") as file:
        assert file.attrs["sha256"] == "2d0cf10057e67f36df1910ebb87163ee6dbd163fcb12e809077e785915b79266"
        assert sorted(file.variables) == ["channel", "rate", "sample", "sample_mean", "sample_variance", "time", "u", "x"]
    assert sorted(again.attrs) == [
        "channels", "dt", "dtype", "eddygrad", "frames", "grid_length", "grid_shape", "parameters", "pde", "schema", "seed", "stepper", "stride",
        "warmup",
    ]  # fmt: skip
    assert data.fingerprint == again.fingerprint == "893d6d040fc465bf" and again.diagnostics == {}
    assert repr(again) == "Dataset(2 x 3 x 1 x 4, channels=['u'], dt=0.25, params=['rate'], float64)"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "whole"
    made(folder)
    return folder


def spoiled(data: xr.Dataset) -> xr.Dataset:
    data.enstrophy[1, 2] = np.nan
    return data


@pytest.mark.parametrize(
    "change,texts",
    [
        (lambda d: d.drop_vars("enstrophy"), ("'enstrophy'", "('sample', 'time')", "got only")),
        (lambda d: d.assign(enstrophy=d.enstrophy.transpose("time", "sample")), ("'enstrophy'", "('time', 'sample')")),
        (lambda d: d.assign(enstrophy=d.enstrophy.isel(time=0)), ("'enstrophy'", "('sample',)")),
        (spoiled, ("'enstrophy'", "NaN or Inf, first in sample 3, frame 2")),
        (lambda d: d.assign(enstrophy=d.enstrophy * (1 + 1e-15)), ("checksum", "bytes have changed")),
    ],
)
def test_damage_is_refused_in_one_line(whole: Path, tmp_path: Path, change: Any, texts: tuple[str, ...]) -> None:
    file = Path(shutil.copy(whole / "shard-00001.nc", tmp_path / "one.nc"))
    with xr.open_dataset(file, engine="h5netcdf") as data:
        changed = change(data.load())
    file.unlink()
    changed.to_netcdf(file, engine="h5netcdf")
    with pytest.raises(ValueError) as caught:
        ds.validate(file)
    message = str(caught.value)
    assert "\n" not in message and all(text in message for text in (str(file), "expected", "got", ";", *texts)), message


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
import test_frame_diagnostics as t
flows = t.flow()
def initial(span):
    if span.start == 2 and "to the end" not in sys.argv:
        os.kill(os.getpid(), signal.SIGKILL)
    return flows[span.start : span.stop]
t.made(sys.argv[1], initial=initial, samples=5)
"""


def test_a_killed_run_continues_to_the_same_bits(tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", KILLED]

    def run(name: str, *more: str) -> int:
        return subprocess.run([*command, str(tmp_path / name), str(Path(__file__).parent), *more], env=environment).returncode

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
    """Zeros under one name, or what `value` says."""

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
def test_diagnoses_that_do_not_fit_are_refused(diagnose: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text) as caught:
        made(None, diagnose=diagnose, params={"viscosity": 0.05})
    assert "\n" not in str(caught.value)


def test_a_box_of_its_own_per_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="'length'"):
        made(None, params={"length": 1.0})
    with pytest.raises(ValueError, match="no curl"):
        FlowDiagnostics(Grid((16,)))
    with pytest.raises(ValueError, match="velocity components"):
        FlowDiagnostics(PLANE)(torch.zeros(1, 1, 16, 16))


@pytest.mark.parametrize(
    "given,text",
    [
        ({"u": torch.zeros(2, 3)}, "'u' cannot name"),
        ({"a": torch.zeros(2)}, r"expected \(2, 3\)"),
        ({"a": torch.full((2, 3), math.nan)}, "NaN or Inf"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(given: dict[str, Tensor], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Dataset.from_tensor(torch.zeros(2, 3, 1, 4), diagnostics=given)


@pytest.mark.parametrize("how,times,text", [("sum", 2, "once per step, got 6 in 3 steps"), ("least", 1, "one of sum, max, mean")])
def test_what_a_stepper_offers_it_tells_once_per_step(how: str, times: int, text: str) -> None:
    class Telling:
        dt, differentiable, observed = 1.0, False, {"iterations": how}

        def at(self, params: Any, like: Tensor, observe: Any = None) -> Any:
            def step(u: Tensor) -> Tensor:
                for _ in range(times):
                    observe("iterations", torch.arange(len(u)))
                return u

            return wrap(step, dt=1.0, code="").at(params, like)

    with pytest.raises(ValueError, match=text):
        made(None, stepper=Telling(), diagnose=None)
    if times == 1:
        Telling.observed = {"iterations": "max"}
        data = made(None, stepper=Telling(), diagnose=None, shard_samples=5)
        assert data.diagnostics["iterations"].tolist() == [[s] * 4 for s in range(5)] and data.attrs["diagnostics"] == {"iterations": "1"}
