"""Every public name stands in the reference, and our docstrings become Google's sections there."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

import eddygrad as eg

SITE = Path(eg.__file__).parent.parent / "docs" / "site"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_site_{name}", SITE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("face", ["eg", "eg.pinn", "eg.nets", "eg.weightings", "eg.presets"])
def test_every_name_of_a_face_is_on_its_page(face: str) -> None:
    site = load("reference_pages")
    page = site.pages()[f"reference/{face.replace('.', '-')}.md"]
    module = site.module_of(face)
    for name in module.__all__:
        if name.startswith("__") or isinstance(getattr(module, name), ModuleType):
            continue
        assert f'heading: "{face}.{name}"' in page or f"| `{name}` |" in page, f"{face}.{name} is not in the reference"


def test_every_module_of_a_room_is_on_its_page() -> None:
    site = load("reference_pages")
    package = Path(eg.__file__).parent
    for room in site.ROOMS:
        page = site.room_page(room)
        for file in (package / room).rglob("*.py"):
            name = ".".join(file.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__")
            assert re.search(rf"^::: {re.escape(name)}$", page, re.MULTILINE) or name.endswith("__main__"), name
    assert {path.name for path in package.iterdir() if (path / "__init__.py").exists()} == set(site.ROOMS)


def test_dense_sections_become_googles() -> None:
    pytest.importorskip("griffe")
    text = "Return a * b.\n\n    c = a * b\nArgs:    a: one. b, n: two\n         lines; see c: above.\n"
    text += "Args of both:\n    a: one.\n"
    text += "Returns: (B, *grid).\nRaises: ValueError for a < 0; TypeError else."
    assert load("docstrings").to_google(text, ["a", "b", "n"]).splitlines() == [
        "Return a \\* b.",
        "",
        "    c = a * b",
        "",
        "Args:",
        "    a: one.",
        "    b: two lines; see c: above.",
        "    n: two lines; see c: above.",
        "",
        "Args: Parameters of both:",
        "    a: one.",
        "",
        "Returns:",
        "    (B, \\*grid).",
        "",
        "Raises:",
        "    ValueError: for a &lt; 0",
        "    TypeError: else.",
    ]
