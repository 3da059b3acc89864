"""Configurations of a comparison of unrolling modalities: what is refused, and the command that makes one again."""

import dataclasses
import json
import shlex
from pathlib import Path

import pytest
from cases.tiny_comparison import TINY

from eddygrad.cli.main import parse
from eddygrad.studies.unrolling import config as configuration
from eddygrad.studies.unrolling.config import UnrollingConfiguration, describe


@pytest.mark.parametrize(
    "change,text",
    [
        ({"tasks": ("correct", "guess")}, r"tasks.*guess"),
        ({"unroll": ()}, r"unroll.*at least one"),
        ({"unroll": ("wig:24",)}, "horizon 24 needs 25 frames, got frames=24"),
        ({"seeds": 0}, "seeds >= 1"),
        ({"horizon": 9}, "long_horizon >= horizon"),
        ({"dtype": "float16"}, "dtype must be"),
        ({"schedule": "linear"}, "schedule: expected"),
        ({"recipe": "burgers"}, "recipe: expected"),
    ],
)
def test_configurations_that_cannot_work(change, text):
    with pytest.raises(ValueError, match=text) as caught:
        dataclasses.replace(TINY, **change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "c,words",
    [
        (UnrollingConfiguration(**configuration.preset("demo")), "--preset demo"),
        (UnrollingConfiguration(**{**configuration.preset("ks-26x8"), "seeds": 2, "clip": 0.5}), "--preset ks-26x8 --seeds 2 --clip 0.5"),
        (TINY, "--name tiny --unroll one nog:2 --width 2"),
        (dataclasses.replace(TINY, name="two words"), "--name 'two words'"),
    ],
)
def test_the_command_of_a_study_makes_its_configuration(c, words, tmp_path):
    config = json.loads(json.dumps(describe(c)))
    command = configuration.command(config, Path("runs") / c.name)
    assert command.startswith(f"eddygrad compare {words}") and "--folder" not in command
    assert parse("compare", shlex.split(command)[2:]).study == c
    assert parse("compare", shlex.split(configuration.command(config, tmp_path))[2:]).folder == tmp_path
    assert configuration.command({"name": "a network", "endpoint": {}}, tmp_path) is None


def test_every_modality_sees_equally_many_frames_an_update():
    c = dataclasses.replace(TINY, unroll=("one", "nog:2", "wig:6"), batch=4, frames=60)
    frames = {u: c.recipe_of(u, 1e-3, "cosine").windows_per_update * h for u, h in (("one", 1), ("nog:2", 2), ("wig:6", 6))}
    assert set(frames.values()) == {24}
    with pytest.raises(ValueError, match="are no multiple of the horizon 4"):
        dataclasses.replace(TINY, unroll=("nog:4", "wig:5"), batch=1, frames=60)
