"""The digest of a callable: equal for equal code in every process, another one for anything that changes what is computed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eddygrad.runtime.code_digest import code_digest
from eddygrad.solver.wrap import wrap

SOURCE = '''
import logging
import numpy as np
import torch
from functools import lru_cache, partial

log = logging.getLogger("mine")
RATE = 0.5
TABLE = {"a": [1.0, 2.0], "b": {"x", "y", "z"}}
WEIGHTS = np.arange(3000.0)
EMPTY = np.sin

def helper(u):
    return u * 2

@lru_cache
def kept(n):
    return n + 1

class Solver:
    order = 2
    def __init__(self, nu):
        self.nu, self.field, self.me, self.lock = nu, torch.arange(5.0), self, torch.Generator()
    def flux(self, u):
        return u * self.nu
    def step(self, u, viscosity=0.1):
        log.info("a step")
        return self.flux(u) if self.order in {"one", "two", 2} else u
    def __call__(self, u):
        return self.step(u)

def step(u, a, b, *, c=(1, None, 2.5)):
    """What it does."""
    def inner(v):
        return helper(v) + 3.0 if v not in {"p", "q", "r"} else kept(1)
    try:
        return inner(u) * RATE + TABLE["a"][0] + WEIGHTS[0] + EMPTY(a - b)
    except ValueError:
        return [step, log, [x * 7 for x in u]]

def make(k):
    return lambda u: u * k
'''
MADE = "make(torch.ones(2, dtype=torch.bfloat16))"
CALLABLES = (
    "step",
    "Solver(0.1).step",
    "Solver(0.1)",
    "partial(step, b=2)",
    MADE,
    "np.sin",
    "kept",
    "torch.roll",
)


def module(source: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(source, namespace)
    return namespace


def digests(source: str = SOURCE) -> list[str]:
    namespace = module(source)
    return [code_digest(eval(name, namespace)) for name in CALLABLES]


@pytest.mark.parametrize(
    "old, new, changed",
    [
        ("RATE = 0.5", "RATE = 0.25", "step"),
        ("* RATE", "/ RATE", "step"),
        ("v) + 3.0", "v) + 4.0", "step"),
        ("u * 2", "u * 3", "step"),
        ("u, a, b", "u, b, a", "step"),
        ("None, 2.5", "None, 2.0", "step"),
        ("[1.0, 2.0]", "[1.0, 2.5]", "step"),
        ("np.arange(3000.0)", "np.arange(3000.0) + (np.arange(3000) == 1500)", "step"),
        ("EMPTY = np.sin", "EMPTY = np.cos", "step"),
        ("n + 1", "n + 2", "kept"),
        ("u * self.nu", "u / self.nu", "Solver(0.1).step"),
        ("order = 2", "order = 3", "Solver(0.1)"),
        ("viscosity=0.1", "viscosity=0.2", "Solver(0.1)"),
        ("torch.arange(5.0)", "torch.arange(1.0, 6.0)", "Solver(0.1)"),
        ("u * k", "u / k", MADE),
    ],
)
def test_an_edit_changes_the_digest(old: str, new: str, changed: str) -> None:
    assert SOURCE.count(old) == 1
    index = CALLABLES.index(changed)
    assert digests(SOURCE.replace(old, new))[index] != digests()[index]


def test_comments_docstrings_and_position_do_not() -> None:
    moved = "\n\n# a remark\n" + SOURCE.replace('"""What it does."""', '"""What it does, said better."""')
    assert digests(moved) == digests()


def test_every_process_finds_the_same(tmp_path: Path) -> None:
    """Another hash seed orders sets otherwise, and addresses differ."""
    script = tmp_path / "script.py"
    script.write_text(SOURCE + f"\nfrom eddygrad.runtime.code_digest import code_digest\nprint([code_digest(f) for f in ({', '.join(CALLABLES)})])\n")
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        out = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=60, check=True).stdout
        assert out.strip() == str(digests())


def closing_over(value: Any) -> Callable[[Any], Any]:
    return lambda u: (u, value)


@pytest.mark.parametrize(
    "one, other",
    [
        (1, 1.0),
        (0.0, -0.0),
        ("a", b"a"),
        (np.zeros(2), np.zeros(2, dtype=np.float32)),
        (np.zeros((1, 2)), np.zeros((2, 1))),
        (torch.tensor(1 + 2j), torch.tensor(1 - 2j)),
        (torch.ones(3), torch.ones(3).bool()),
        ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
        ([1, 2], (1, 2)),
        (partial(max, 1), partial(max, 2)),
        (torch.nn.Linear(2, 2).requires_grad_(False), torch.nn.Linear(2, 2).requires_grad_(False)),
        (closing_over(1), closing_over(2)),
        (torch.float32, torch.float64),
        ((2.0).__mul__, (3.0).__mul__),
        ({"a"}.__contains__, {"b"}.__contains__),
        (torch.zeros(2).add, torch.ones(2).add),
    ],
    ids=lambda v: type(v).__name__,
)
def test_what_is_closed_over_counts(one: Any, other: Any) -> None:
    assert code_digest(closing_over(one)) == code_digest(closing_over(one)) != code_digest(closing_over(other))


def test_dictionaries_count_in_any_order_and_objects_without_state_by_their_class() -> None:
    assert code_digest(closing_over({"a": 1, "b": 2})) == code_digest(closing_over({"b": 2, "a": 1}))
    assert code_digest(closing_over(object())) == code_digest(closing_over(object()))
    assert code_digest(closing_over(lru_cache(abs))) == code_digest(closing_over(lru_cache(abs)))


def test_a_wrapped_function_says_which_code_it_is() -> None:
    one, two, three = (wrap(fn, dt=0.1) for fn in (lambda u: 2 * u, lambda u: 2 * u, lambda u: 3 * u))
    assert repr(one) == repr(two) != repr(three) and repr(one).endswith(f"code={one.code})") and len(one.code) == 8
    assert repr(wrap(np.sin, dt=0.1, array="numpy", code="fortran 3.1")).endswith("code=fortran 3.1)")


def test_a_spawned_process_calls_the_script_by_another_name() -> None:
    def reading(module: str) -> Any:
        kind = type("Wave", (), {"__module__": module, "speed": lambda self: 2.0})
        held = kind()
        return lambda x: held.speed() * x

    here, there, elsewhere = (code_digest(reading(module)) for module in ("__main__", "__mp_main__", "other"))
    assert here == there != elsewhere
