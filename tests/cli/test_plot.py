"""Pictures and films of data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import eddygrad as eg
from eddygrad.cli.main import main
from eddygrad.plotting.planes import FFMpegWriter, planes
from eddygrad.solver.initial import random_fourier


@pytest.fixture
def plane(tmp_path: Path) -> Path:
    grid = eg.Grid((12, 8), (6.0, 3.0))
    u = random_fourier(grid, 10, 2, bandlimit=2, seed=0).reshape(2, 5, 2, 12, 8)
    u[:, :, 1] = u[:, :, 1].abs()
    eg.Dataset.from_tensor(u.float(), {"viscosity": 0.1}, grid, 0.5, ("vorticity", "speed")).save(tmp_path / "plane.nc")
    return tmp_path / "plane.nc"


def test_a_plane_is_drawn_at_some_times_and_as_a_film(plane: Path) -> None:
    assert main(["plot", str(plane), "--out", str(plane.with_suffix(".png")), "--columns", "3"]) == 0
    assert Image.open(plane.with_suffix(".png")).size[0] > 500
    assert main(["plot", str(plane), "--out", str(plane.with_suffix(".gif")), "--channels", "speed", "--sample", "1"]) == 0
    film = Image.open(plane.with_suffix(".gif"))
    assert film.n_frames == 5  # type: ignore[attr-defined]
    first = np.array(film.convert("RGB"))
    film.seek(4)
    assert (np.array(film.convert("RGB")) != first).any()


def test_a_line_is_drawn_in_space_and_time(tmp_path: Path) -> None:
    data = eg.recipes.kuramoto_sivashinsky.testing(1, 20).generate(tmp_path / "ks.nc", progress=False)
    assert main(["plot", str(tmp_path / "ks.nc"), "--out", str(tmp_path / "ks.png"), "--sample", "3"]) == 0
    assert data.frames == 21 and (tmp_path / "ks.png").exists()


@pytest.mark.parametrize(
    "options, message",
    [
        (["--out", "x.bmp"], "expected a name that ends in one of .png"),
        (["--out", "x.png", "--channels", "pressure"], "expected some of ['vorticity', 'speed'], got 'pressure'"),
        (["--out", "x.png", "--sample", "2"], "sample: expected 0 to 1, got 2"),
        (["--out", "x.gif", "--fps", "0"], "at least one"),
    ],
)
def test_what_cannot_be_drawn_is_named(plane: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", str(plane), *options]) == 2
    assert message in capsys.readouterr().err


def test_mp4_without_ffmpeg_says_what_to_do(plane: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(FFMpegWriter, "isAvailable", lambda: False)
    assert main(["plot", str(plane), "--out", "x.mp4"]) == 2
    assert "needs the program ffmpeg" in capsys.readouterr().err


def test_x_is_to_the_right_and_y_upwards() -> None:
    field = torch.zeros(1, 1, 4, 3)
    field[0, 0, 3, 0] = 1.0  # the lower right corner
    image = planes(field.numpy(), ["u"], [0.0], (4.0, 3.0)).axes[0].images[0]
    shown = np.asarray(image.get_array())
    assert shown.shape == (3, 4) and shown[0, 3] == 1 and image.origin == "lower"
    with pytest.raises(ValueError, match="expected frames"):
        planes(field.numpy(), ["u", "v"], [0.0], (4.0, 3.0))
