"""The table of a test is that of its study folder, and needs none."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from cases.fitting_cases import OPTIONS, data, network

from eddygrad.correctors.compose import correct
from eddygrad.fitting.corrector import fit_stepper
from eddygrad.solver.wrap import wrap
from eddygrad.studies.unrolling.results import load, tables


def test_the_table_needs_no_folder_and_is_that_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = fit_stepper(correct(wrap(lambda u: 0.5 * u, dt=1.0), network((0, 1))), data(), **OPTIONS)
    result = run.test(horizon=5, baselines=["persistence", "coarse"])
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "mkdtemp", lambda *args, **options: pytest.fail("a folder was made"))
        table = result.table()
    result.write(tmp_path)
    assert table == tables.table(load.load(tmp_path))
    assert "persistence" in table and "coarse" in table and result.error.shape == (2,)
