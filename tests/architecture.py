"""The house's rules that a machine can check: who imports whom, how long a file may be, and that nothing prints."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import eddygrad

ROOT = Path(eddygrad.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
# Each folder may import those that stand left of it, and nothing of its own group's other folders; the face and its helpers import everything.
ORDER = (
    ("runtime",),
    ("solver",),
    ("correctors", "datasets", "training"),
    ("evaluation", "plotting"),
    ("fitting", "pinn"),
    ("studies", "validation"),
    ("fit", "cli"),
)
MAY_IMPORT = {name: {below for group in ORDER[:i] for below in group} for i, group in enumerate(ORDER) for name in group}
ANYBODY = {"_version"}
# Imports against the order, each with what it is for.
UPWARD = {
    "fitting/test_result.py": {"studies"},  # table and report of one run, when asked for
    "pinn/__init__.py": {"studies"},  # eg.pinn.compare, lazily
}
SOLVER_STANDS_ON = {"torch", "numpy", "scipy"}
BRIDGES = {ROOT / "solver" / "phiflow.py": {"phi"}}  # a file that exists for another package, which it imports when called
LONGEST_FILE = 400
PRINTS = {ROOT / "cli" / "main.py"}

every_file = pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))


def imports(tree: ast.AST, path: Path, root: Path = ROOT) -> Iterator[str]:
    """Dotted names of everything imported anywhere in a file, relative imports resolved."""
    package = ["eddygrad", *path.relative_to(root).parts[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def forbidden(source: str, path: Path) -> list[str]:
    """Imports of ours that the folder of `path` may not have."""
    folder = path.relative_to(ROOT).parts[0]
    if folder not in MAY_IMPORT or folder in ("fit", "cli"):
        return []
    allowed = MAY_IMPORT[folder] | {folder} | ANYBODY | UPWARD.get(str(path.relative_to(ROOT)), set())
    ours = (name.split(".") for name in imports(ast.parse(source), path))
    return [".".join(name) for name in ours if name[0] == "eddygrad" and (len(name) < 2 or name[1] not in allowed)]


@every_file
def test_folders_import_only_what_stands_below_them(path: Path) -> None:
    assert forbidden(path.read_text(), path) == []


@every_file
def test_files_stay_short_and_silent(path: Path) -> None:
    source = path.read_text()
    assert len(source.splitlines()) <= LONGEST_FILE
    calls = [n.func.id for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    assert path in PRINTS or not {"print", "exit"} & set(calls)


@pytest.mark.parametrize("path", sorted((ROOT / "solver").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_solver_stands_on_torch_numpy_and_scipy(path: Path) -> None:
    outside = {name.split(".")[0] for name in imports(ast.parse(path.read_text()), path)} - {"eddygrad"}
    assert outside <= SOLVER_STANDS_ON | BRIDGES.get(path, set()) | set(sys.stdlib_module_names)


@pytest.mark.parametrize(
    "line, folder, bad",
    [
        ("from eddygrad.datasets.format import open", "training", True),
        ("import eddygrad.studies", "correctors", True),
        ("from eddygrad import datasets", "training", True),
        ("import eddygrad as eg", "solver", True),
        ("from ..training import loop", "solver", True),
        ("def f():\n    from eddygrad.correctors import compose", "datasets", True),
        ("from .grid import Grid", "solver", False),
        ("from eddygrad.solver.grid import Grid", "datasets", False),
        ("from eddygrad.correctors import compose", "training", True),
        ("from eddygrad.datasets import format", "studies", False),
        ("from eddygrad._version import __version__", "datasets", False),
    ],
)
def test_the_rule_sees_every_way_to_write_an_import(line: str, folder: str, bad: bool) -> None:
    assert bool(forbidden(line, ROOT / folder / "example.py")) == bad
