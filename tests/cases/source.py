"""The syntax trees of a package's files, and what they say of its structure."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path


class Source:
    """The syntax trees of a package's files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.trees = {str(p.relative_to(root)): ast.parse(p.read_text()) for p in sorted(root.rglob("*.py"))}
        self.lines = {name: len((root / name).read_text().splitlines()) for name in self.trees}

    def functions(self) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
        """Yield ("file.py:name", function) for every function and method."""
        for name, tree in self.trees.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{name}:{node.name}", node

    def files_per_folder(self) -> Counter[str]:
        """Return the number of files of each folder, without __init__.py."""
        return Counter(str(Path(name).parent) for name in self.trees if not name.endswith("__init__.py"))

    def classes_twice(self) -> dict[str, list[str]]:
        """Return the class names that several files define."""
        homes: dict[str, list[str]] = {}
        for name, tree in self.trees.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    homes.setdefault(node.name, []).append(name)
        return {name: files for name, files in homes.items() if len(files) > 1}

    def probes(self, allowed: Mapping[str, Collection[str]]) -> list[str]:
        """Return "file.py:line name" of every getattr or hasattr with a literal name that is not allowed, file -> names."""
        return [
            f"{name}:{node.lineno} {node.args[1].value}"
            for name, tree in self.trees.items()
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "hasattr")
            if len(node.args) > 1 and isinstance(node.args[1], ast.Constant) and node.args[1].value not in allowed.get(name, ())
        ]

    def imports(self, name: str, lazy: bool = True) -> list[str]:
        """Return the dotted names that a file imports, relative ones resolved, without those that only type checkers see.

        Args: name: of the file. lazy: also those inside functions.
        """
        package = ["eddygrad", *Path(name).parts[:-1]]
        found = []
        for node in _statements(self.trees[name], lazy):
            if isinstance(node, ast.Import):
                found += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                base = package[: len(package) - node.level + 1] if node.level else []
                module = ".".join([*base, *([node.module] if node.module else [])])
                found += [f"{module}.{alias.name}" for alias in node.names]
        return found

    @cache  # noqa: B019  (a handful of instances, as long as the process)
    def arrows(self, lazy: bool) -> dict[str, set[str]]:
        """Return file -> our files that it imports."""
        modules = {_module(name): name for name in self.trees}
        arrows: dict[str, set[str]] = {}
        for name in self.trees:
            targets = (modules.get(dotted) or modules.get(dotted.rpartition(".")[0]) for dotted in self.imports(name, lazy))
            arrows[name] = {target for target in targets if target and target != name}
        return arrows

    def study_levels(self) -> int:
        """Return the number of files in the longest chain of imports inside studies/."""
        arrows = {
            name: {t for t in targets if t.startswith("studies/")} for name, targets in self.arrows(False).items() if name.startswith("studies/")
        }

        @cache
        def depth(name: str) -> int:
            return 1 + max((depth(target) for target in arrows[name]), default=0)

        return max(map(depth, arrows))

    def circles(self, upward: Mapping[str, str]) -> list[list[str]]:
        """Return groups of files that import each other, lazily too; imports of the face and those `upward`, file -> room, are left out."""
        arrows = {
            name: {t for t in targets if Path(t).parts[0] != upward.get(name)} for name, targets in self.arrows(True).items() if name != "__init__.py"
        }
        reached = {name: _reachable(name, arrows) for name in arrows}
        groups = {frozenset(other for other in reached[name] if name in reached.get(other, ())) for name in arrows if name in reached[name]}
        return sorted(map(sorted, groups))

    def public(self) -> Iterator[tuple[str, ast.FunctionDef | ast.ClassDef]]:
        """Yield ("file.py:Class.name", definition) for public classes, functions and methods."""
        for name, tree in self.trees.items():
            for node in tree.body:
                if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_") and not _is_overload(node):
                    yield f"{name}:{node.name}", node
                    for part in node.body if isinstance(node, ast.ClassDef) else ():
                        if isinstance(part, ast.FunctionDef) and not part.name.startswith("_"):
                            yield f"{name}:{node.name}.{part.name}", part

    def undocumented(self) -> tuple[list[str], int]:
        """Return public names without a docstring, and the number of public names; a method may have that of a base class or protocol."""
        known = {node.name for _, node in self.public() if isinstance(node, ast.FunctionDef) and ast.get_docstring(node)}
        names = list(self.public())
        return [n for n, node in names if not ast.get_docstring(node) and not ("." in n.split(":")[1] and node.name in known)], len(names)

    def without_args(self) -> tuple[list[str], int]:
        """Return public functions of three or more arguments without `Args`, and the number of such functions; a method may have a base's."""
        known = {node.name for _, node in self.public() if _has_args(node)}
        several = [(n, node) for n, node in self.public() if isinstance(node, ast.FunctionDef) and len(_arguments(node)) >= 3]
        return [n for n, node in several if not _has_args(node) and not ("." in n.split(":")[1] and node.name in known)], len(several)


def _statements(tree: ast.AST, lazy: bool) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        if lazy or not isinstance(node, ast.FunctionDef | ast.Lambda):
            yield from _statements(node, lazy)


def _module(name: str) -> str:
    return ".".join(["eddygrad", *Path(name).with_suffix("").parts]).removesuffix(".__init__")


def _reachable(name: str, arrows: dict[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    stack = list(arrows[name])
    while stack:
        at = stack.pop()
        if at not in reached:
            reached.add(at)
            stack += arrows.get(at, ())
    return reached


def _is_overload(node: ast.FunctionDef | ast.ClassDef) -> bool:
    return any(isinstance(d, ast.Name) and d.id == "overload" for d in node.decorator_list)


def _has_args(node: ast.FunctionDef | ast.ClassDef) -> bool:
    return re.search(r"\bArgs( of [^:]*)?:", ast.get_docstring(node) or "") is not None


def _arguments(node: ast.FunctionDef) -> list[str]:
    names = [a.arg for a in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]]
    return [name for name in names if name not in ("self", "cls")]
