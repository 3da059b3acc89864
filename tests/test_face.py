"""`import eddygrad as eg`: quick, complete, and what a user types works."""

from __future__ import annotations

import ast
import math
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import eddygrad as eg
from eddygrad.studies.unrolling.config import preset


def test_every_promised_name_exists_and_is_the_object_that_type_checkers_see() -> None:
    assert all(getattr(eg, name) is not None for name in eg.__all__)
    tree = ast.parse(Path(eg.__file__).read_text())
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {(node.module, alias.name) for node in guarded.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    homes = {(f"eddygrad.{module}", name) for name, module in eg._HOME.items()}
    modules = {(f"eddygrad.{m}".rpartition(".")[0], m.rpartition(".")[2]) for m in eg._MODULES.values()}
    assert seen == homes | modules
    assert {name for _, name in seen} | {"__version__"} == set(eg.__all__)


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(AttributeError, match=r"eddygrad has no 'simulate'; it offers .*ETDRK"):
        _ = eg.simulate  # type: ignore[attr-defined]


def test_the_import_loads_no_torch() -> None:
    code = "import sys, eddygrad, eddygrad.cli; print('torch' in sys.modules, 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == ["False", "False"]


def test_training_loads_nothing_that_draws_or_tests() -> None:
    code = "import sys, eddygrad; eddygrad.fit; print([name for name in ('matplotlib', 'scipy.stats', 'xarray') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_the_preset_is_the_paper_solver() -> None:
    ks = eg.recipes.kuramoto_sivashinsky
    assert eg.presets.kuramoto_sivashinsky() == ks.reference()
    assert eg.presets.kuramoto_sivashinsky(order=1) == ks.coarse()
    assert eg.presets.kuramoto_sivashinsky(D=11.2).grid.lengths == (2 * math.pi * 11.2,)


def test_the_presets_of_the_flows_are_the_recipes_solvers() -> None:
    flow, at_600 = eg.recipes.kolmogorov, {"viscosity": 1 / 600}
    u = flow.testing(1).initial_of(0)[None]
    assert torch.equal(eg.presets.kolmogorov(600).at({}, u)(u), flow.reference().at(at_600, u)(u))
    coarse = eg.presets.kolmogorov(600, points=32, substeps=1)
    assert (coarse.grid, coarse.substep) == (flow.coarse().grid, flow.coarse().substep)
    assert eg.presets.active_turbulence() == eg.recipes.active_turbulence.reference()


def decay(u: Tensor) -> Tensor:
    return 0.9 * u


@pytest.fixture(scope="module")
def halving() -> eg.Split:
    """Trajectories of u+ = u / 2, to be reached from u+ = .9 u."""
    start = torch.randn(10, 1, 8, generator=torch.Generator().manual_seed(0))
    u = torch.stack([start * 0.5**t for t in range(16)], 1)
    return eg.Dataset.from_tensor(u, dt=0.1).split(val=0.1, test=0.3)


def test_what_a_user_types(halving: eg.Split, tmp_path: Path) -> None:
    coarse = eg.wrap(decay, dt=0.1)
    stepper = eg.correct(coarse, eg.nets.ResNet(4, 1), mode="sequential")
    run = eg.fit(stepper, halving, unroll="nog:4", seeds=3, steps=80, lr=1e-2, progress=False)
    test = run.test(baselines=["persistence", "coarse"])
    assert test.error.shape == (3,)
    assert "persistence" in test.table() and "coarse" in test.table()
    # e(t) of persistence against .5^t, exactly, with the largest |u| at t = 0 as the scale.
    truth = halving.test.all()
    e = ((truth[:, :1] - truth)[:, :13].square().mean((2, 3)) / truth.square().amax((1, 2, 3))[:, None]).mean(1)
    torch.testing.assert_close(test.baselines["persistence"].metrics["rellinf"][0], e)
    assert float(test.error.max()) < float(test.baselines["coarse"].metrics["rellinf"].mean())
    path = test.report(tmp_path / "report.html")
    assert path.read_text().count("<svg") >= 3
    assert sorted(p.name for p in (tmp_path / "report" / "runs").glob("*.json")) == [
        "baseline-coarse.json", "baseline-persistence.json", "correct-nog4.json"
    ]  # fmt: skip


def test_the_example_of_the_package_runs(halving: eg.Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    doc = eg.__doc__ or ""
    code = textwrap.dedent("\n".join(row for row in doc.splitlines() if row.startswith("    ")))
    for whole, tiny in (
        ("ResNet(26, 8)", "ResNet(4, 1)"),
        ("seeds=16", "seeds=2, steps=60, lr=1e-2, progress=False"),
        ("steps=10_000", "steps=5, progress=False"),
    ):
        assert code.count(whole) == 1
        code = code.replace(whole, tiny)
    monkeypatch.chdir(tmp_path)
    eg.Dataset.from_tensor(torch.cat([part.all() for part in halving]), dt=0.1).save("runs.nc")
    names: dict[str, Any] = {"my_solver_step": decay, "f": lambda x, y: x * y, "exact": lambda x: x[:, 0]}
    exec(code, names)
    assert (tmp_path / "report.html").exists() and names["run"].stepper.seeds == (0, 1)
    test = names["run"].test(baselines=["coarse"])
    assert float(test.error.max()) < 0.5 * float(test.baselines["coarse"].metrics["rellinf"].mean())


def test_a_comparison_from_the_face(tmp_path: Path) -> None:
    study = eg.compare(tmp_path / "study", preset="demo", unroll=["nog:4"], steps=7)
    assert isinstance(study, eg.Study)
    assert (study.configuration.steps, study.configuration.unroll, study.configuration.width) == (7, ("nog:4",), preset("demo")["width"])
    assert eg.compare(name="mine").folder == Path("runs/mine")
    with pytest.raises(ValueError, match=r"unknown options \['stepz'\]"):
        eg.compare(stepz=3)
    with pytest.raises(ValueError, match=r"preset: expected one of .*demo.*, got 'dmeo'"):
        eg.compare(preset="dmeo")
    with pytest.raises(ValueError, match="tasks: expected some of correct, predict, got 'corect'"):
        eg.compare(tasks=["corect"])


def test_no_lazy_name_is_hidden_by_a_file_of_the_same_name() -> None:
    """A submodule takes the place of a name in its package as soon as it is imported."""
    for package in (eg, eg.pinn):
        folder = Path(package.__file__).parent
        files = {path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()}
        hidden = {name for name in package._HOME if name in files}
        assert hidden == set()
