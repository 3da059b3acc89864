"""The rules of the house that a machine can check. As a script it prints their figures for any checkout: python tests/architecture.py [PACKAGE]."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from cases.source import Source

ROOT = Path(__file__).resolve().parents[1] / "eddygrad"
TESTS = Path(__file__).resolve().parent
MOST_FILES, LONGEST_FILE, LONGEST_FUNCTION, STUDY_LEVELS = 15, 300, 40, 8
# A folder may import the groups above its own; the face imports everything.
ORDER = (
    ("runtime",),
    ("solver",),
    ("correctors", "datasets", "training"),
    ("evaluation", "plotting"),
    ("fitting", "pinn"),
    ("studies", "validation"),
)
MAY_IMPORT = {name: {below for group in ORDER[:i] for below in group} | {"_version"} for i, group in enumerate(ORDER) for name in group}
# Imports against this order, made when called.
UPWARD = {
    "fitting/test_result.py": "studies",  # the table and the report of one run are those of a study
    "pinn/__init__.py": "studies",  # eg.pinn.compare
}
SOLVER_IMPORTS = {"torch", "numpy", "scipy"}
BRIDGES = {"solver/phiflow.py": {"phi"}}  # files that exist for another package, imported when called
PRINTS = {"cli/main.py"}
# Objects of others that are probed for an attribute by its literal name: file -> names, with the reason.
PROBES = {
    "runtime/code_digest.py": {
        "__module__",
        "__wrapped__",
        "__self__",
        "__dict__",
        "__file__",
        "__qualname__",
        "__name__",
        "co_exceptiontable",
    },  # all
    "runtime/options.py": {"__name__"},  # types of any annotation
    "runtime/memory.py": {"mallopt"},  # the C library may lack it
    "correctors/network_stack.py": {"track_running_stats"},  # a user's modules
    "fitting/recipe.py": {"__name__"},  # a user's loss terms
    "solver/phiflow.py": {"ext"},  # PhiFlow's boundary objects
    "solver/wrap.py": {"__name__", "shape"},  # a user's function and what it returns
    "training/weighting/custom.py": {"__name__"},  # a user's function
    "training/weighting/aggregated.py": {"reset"},  # a user's aggregator
    "training/weighting/aggregator_state.py": {"state_dict", "load_state_dict", "__dict__"},  # the same
}
# Functions that may be longer, each with the reason.
LONG_FUNCTIONS: dict[str, str] = {}


def figures(root: Path) -> dict[str, str]:
    """Return the figures of a package by name, as text."""
    source = Source(root)
    folder, files = source.files_per_folder().most_common(1)[0]
    file = max(source.lines, key=source.lines.__getitem__)
    length, function = max((node.end_lineno - node.lineno + 1, name) for name, node in source.functions() if node.end_lineno)
    bare, public = source.undocumented()
    missing, several = source.without_args()
    return {
        "files in the fullest folder": f"{files} ({folder})",
        "lines of the longest file": f"{source.lines[file]} ({file})",
        "lines of the longest function": f"{length} ({function})",
        "class names defined twice": f"{len(source.classes_twice())}",
        "literal getattr or hasattr outside the allow-list": f"{len(source.probes(PROBES))}",
        "import levels inside studies": f"{source.study_levels()}",
        "import circles": f"{len(source.circles(UPWARD))}",
        "public names with a docstring": f"{public - len(bare)} of {public} ({(public - len(bare)) / public:.1%})",
        "public functions of three or more arguments with Args": f"{several - len(missing)} of {several}",
    }


OURS = Source(ROOT)
every_file = pytest.mark.parametrize("name", OURS.trees)


def forbidden(name: str, imported: list[str]) -> list[str]:
    """Return the imports of ours that a file may not have."""
    folder = Path(name).parts[0]
    if folder not in MAY_IMPORT:
        return []
    allowed = MAY_IMPORT[folder] | {folder, UPWARD.get(name)}
    parts = (dotted.split(".") for dotted in imported)
    return [".".join(p) for p in parts if p[0] == "eddygrad" and (len(p) < 2 or p[1] not in allowed)]


@every_file
def test_folders_import_only_what_is_left_of_them(name: str) -> None:
    assert forbidden(name, OURS.imports(name)) == []


@every_file
def test_files_are_short_and_silent(name: str) -> None:
    assert OURS.lines[name] <= LONGEST_FILE
    calls = {n.func.id for n in ast.walk(OURS.trees[name]) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    assert name in PRINTS or not {"print", "exit"} & calls


@pytest.mark.parametrize("name", [name for name in OURS.trees if name.startswith("solver/")])
def test_the_solver_stands_on_torch_numpy_and_scipy(name: str) -> None:
    outside = {dotted.split(".")[0] for dotted in OURS.imports(name)} - {"eddygrad"}
    assert outside <= SOLVER_IMPORTS | BRIDGES.get(name, set()) | set(sys.stdlib_module_names)


def test_folders_are_small() -> None:
    assert {folder: n for folder, n in OURS.files_per_folder().items() if n > MOST_FILES} == {}


def test_functions_are_short() -> None:
    long = {name for name, node in OURS.functions() if node.end_lineno and node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION}
    assert long == set(LONG_FUNCTIONS)


def test_no_class_name_is_defined_twice() -> None:
    assert OURS.classes_twice() == {}


def test_protocols_are_explicit() -> None:
    assert OURS.probes(PROBES) == []


def test_no_files_import_each_other() -> None:
    assert OURS.circles(UPWARD) == []


def test_studies_are_a_low_tower() -> None:
    assert OURS.study_levels() <= STUDY_LEVELS


def test_public_names_are_documented() -> None:
    bare, public = OURS.undocumented()
    assert len(bare) <= 0.05 * public, bare
    assert OURS.without_args()[0] == []


def test_the_tests_mirror_the_package() -> None:
    folders = {str(p.parent.relative_to(TESTS)) for p in TESTS.rglob("test_*.py")} - {"."}
    assert {folder for folder in folders if not (ROOT / folder).is_dir()} == set()
    assert {folder.split("/")[0] for folder in folders} >= set(MAY_IMPORT)


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
    example = Source(ROOT)
    example.trees[f"{folder}/example.py"] = ast.parse(line)
    assert bool(forbidden(f"{folder}/example.py", example.imports(f"{folder}/example.py"))) == bad


if __name__ == "__main__":
    for title, figure in figures(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT).items():
        sys.stdout.write(f"{title:56}{figure}\n")
