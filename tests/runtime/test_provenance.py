"""The environment of a measurement names code, versions and machine, as JSON values."""

from __future__ import annotations

import json

import torch

import eddygrad as eg
from eddygrad.runtime.provenance import PACKAGE, code, environment


def test_the_environment_is_json_and_names_code_and_machine() -> None:
    found = environment()
    assert json.loads(json.dumps(found)) == found
    assert (found["eddygrad"], found["torch"], found["threads"]) == (eg.__version__, torch.__version__, torch.get_num_threads())
    assert found["source"] == code()["source"] and len(found["source"]) == 12 and (PACKAGE / "runtime").is_dir()
