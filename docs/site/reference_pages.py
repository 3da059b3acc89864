"""An mkdocs hook that writes the reference pages while the site is built, so that they are never behind the code.

`reference/eg.md` has every public name of `eg`, `eg.pinn`, `eg.nets`, `eg.weightings` and `eg.presets`; one more page for each room of the package
has all its modules.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
from typing import Any

import eddygrad

# Room -> what its page begins with; the order is that of the imports.
ROOMS = {
    "runtime": "The machine and the files: whole-or-absent writing, random streams, threads, devices, provenance.",
    "solver": "Grids, equations, schemes, steps and unrolling.",
    "correctors": "Networks and how they are composed with a solver.",
    "datasets": "Generating, storing and reading trajectories; the papers' recipes.",
    "training": "Objectives, loss weightings, optimisers and the training loop.",
    "evaluation": "Metrics, baselines and cost of a stepper.",
    "plotting": "Figures and HTML pages.",
    "fitting": "Training a corrected solver on data, and testing it.",
    "pinn": "Posing a problem for a physics-informed network, and solving it.",
    "studies": "Comparisons of many runs that resume, with statistics and a report.",
    "validation": "Physics self-checks.",
    "cli": "The commands of `eddygrad`.",
}
FACES = ("eg", "eg.pinn", "eg.nets", "eg.weightings", "eg.presets")


def _sentence(what: Any) -> str:
    """Return the first line of the docstring for a table's cell."""
    text = (inspect.getdoc(what) or "").splitlines() if not isinstance(what, (str, dict, tuple)) else []
    return text[0].replace("|", "\\|").replace("<", "&lt;") if text else ""


def _path(what: Any, name: str, face: str) -> str:
    """Return the dotted path under which the documentation tool finds the object."""
    module, qualified = getattr(what, "__module__", ""), getattr(what, "__qualname__", "")
    return f"{module}.{qualified}" if str(module).startswith("eddygrad") and qualified else f"{module_of(face).__name__}.{name}"


def module_of(face: str) -> Any:
    """Return the module that a user reaches as "eg" or, say, "eg.pinn"."""
    return eddygrad if face == "eg" else getattr(eddygrad, face.partition(".")[2])


def names_of(face: str) -> dict[str, Any]:
    """Return the public names of a face that are no modules: of "eg" or, say, "eg.pinn"."""
    module = module_of(face)
    names = {name: getattr(module, name) for name in module.__all__ if not name.startswith("__")}
    return {name: what for name, what in names.items() if not inspect.ismodule(what)}


def _heading(what: Any) -> str:
    """Return the room that holds the object, or the module beside the rooms ("fit", "presets"); "" for a plain value."""
    parts = str(getattr(what, "__module__", "")).split(".")
    return parts[1] if parts[0] == "eddygrad" and len(parts) > 1 else ""


def face_page(face: str) -> str:
    """Return the page of one face, "eg" or "eg.pinn": a table of its names by room, then each with its signature."""
    names = names_of(face)
    lines = [f"# {face}", "", (module_of(face).__doc__ or "").split("\n")[0], ""]
    found = list(dict.fromkeys(_heading(what) for what in names.values() if _heading(what)))
    rooms = sorted(found, key=lambda room: list(ROOMS).index(room) if room in ROOMS else -1)
    for room in rooms:
        lines += [f"**{room}**", "", "| name | |", "|---|---|"]
        own = {name: what for name, what in names.items() if _heading(what) == room}
        lines += [f"| [`{name}`](#{_path(what, name, face)}) | {_sentence(what)} |" for name, what in own.items()] + [""]
    values = {name: what for name, what in names.items() if not _heading(what)}
    if values:
        lines += ["**values**", "", "| name | |", "|---|---|", *(f"| `{name}` | {_value(what)} |" for name, what in values.items()), ""]
    for room in rooms:
        lines += [f"## {room}", ""] if len(rooms) > 1 else []
        for name, what in names.items():
            if _heading(what) == room:
                lines += [
                    f"::: {_path(what, name, face)}",
                    "    options:",
                    f'      heading: "{face}.{name}"',
                    f'      toc_label: "{name}"',
                    "      skip_local_inventory: true",
                    "",
                ]
    return "\n".join(lines)


def _value(what: Any) -> str:
    if isinstance(what, dict):
        return ", ".join(f"`{key}`" for key in what)
    return f"`{what!r}`".replace("|", "\\|")


def modules_of(room: str) -> list[str]:
    """Return the modules of a room that say something, in alphabetical order."""
    package = importlib.import_module(f"eddygrad.{room}")
    found = [package.__name__, *(entry.name for entry in pkgutil.walk_packages(package.__path__, f"{package.__name__}."))]
    return [name for name in found if not name.endswith("__main__")]


def room_page(room: str) -> str:
    """Return the page of one room of the package; an `__init__` only re-exports, so its members are left out."""
    lines = [f"# {room}", "", ROOMS[room], ""]
    for name in modules_of(room):
        lines += [f"::: {name}", "    options:", "      heading_level: 2", "      show_root_heading: true"]
        lines += [f'      heading: "{name.partition(".")[2]}"']
        spec = importlib.util.find_spec(name)
        lines += ["      members: false", ""] if spec is not None and spec.submodule_search_locations else [""]
    return "\n".join(lines)


def pages() -> dict[str, str]:
    """Return the reference pages, address -> Markdown."""
    faces = {f"reference/{face.replace('.', '-')}.md": face_page(face) for face in FACES}
    return faces | {f"reference/{room}.md": room_page(room) for room in ROOMS}


def on_files(files: Any, config: Any) -> Any:
    """Add the pages to the site (called by mkdocs)."""
    from mkdocs.structure.files import File

    for address, text in pages().items():
        files.append(File.generated(config, address, content=text))
    return files
