"""A griffe extension that lets mkdocstrings read our docstrings.

Our docstrings have Google's sections in a denser layout: several arguments on one line ("a: text. b, c: text."), text on the line of the section's
name, formulas indented under the sentence that they belong to. This extension rewrites them, in memory, to the layout that the Google parser reads:
one argument a line, formulas as code blocks, and no character that Markdown would take for emphasis or a link.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_SECTION = re.compile(r"^(Args|Returns|Raises|Yields)( of [^:]*)?:\s*(.*)$")
_PART = re.compile(r"(`[^`]*`)")


def _safe(text: str) -> str:
    """Return the text with Markdown's special characters escaped, outside `code`."""
    escaped = (part if part.startswith("`") else re.sub(r"([*_\[\]])", r"\\\1", part).replace("<", "&lt;") for part in _PART.split(text))
    return "".join(escaped)


def _arguments(text: str, names: list[str]) -> list[tuple[str, str]]:
    """Split "a: text. b, c: text." at the names of parameters that open a sentence; what has no name is "others"."""
    known = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)) or "(?!)"
    opening = re.compile(rf"(?:(?<=^)|(?<=[.;)\]] ))\*{{0,2}}((?:{known})(?:(?:,| and| or) \*{{0,2}}(?:{known}))*):\s")
    found = list(opening.finditer(text))
    parts = [("", text[: found[0].start()] if found else text)]
    for here, following in zip(found, [*found[1:], None]):
        end = len(text) if following is None else following.start()
        several = re.split(r",\s*|\s+and\s+|\s+or\s+", here[1])
        shared = "as `" + several[0] + "`" if len(several) > 3 else text[here.end() : end]  # a long text is not repeated many times
        parts += [(name, text[here.end() : end] if name == several[0] else shared) for name in several]
    return [(name, body.strip()) for name, body in parts if body.strip()]


def _section(title: str, lines: list[str], names: list[str]) -> list[str]:
    """Return one section in Google's layout; "Args of a problem" keeps its title."""
    title, _, of = title.partition(" of ")
    text = " ".join(line.strip() for line in lines if line.strip())
    if not text:
        return []
    if title == "Args":
        parts = _arguments(text, names)
        rest = [f"*{_safe(body)}*" for name, body in parts if not name]
        rows = [f"    {name}: {_safe(body)}" for name, body in parts if name]
        head = f"Args: Parameters of {of}:" if of else "Args:"
        return ([head, *rows, ""] if rows else []) + ([*rest, ""] if rest else [])
    if title == "Raises":
        kinds = re.split(r"(?:(?<=^)|(?<=[;.,] ))(?=[A-Z]\w*(?:Error|Exception|Interrupt)\b)", text)
        rows = []
        for kind in filter(str.strip, kinds):
            name, _, body = kind.strip().rstrip(";,").partition(" ")
            rows.append(f"    {name.rstrip(':')}: {_safe(body)}")
        return ["Raises:", *rows, ""]
    return [f"{title}:", f"    {_safe(text)}", ""]


def _description(lines: list[str]) -> list[str]:
    """Return prose with its indented formulas as code blocks."""
    out: list[str] = []
    for line in lines:
        formula = line.startswith("    ")
        if out and out[-1] and formula != out[-1].startswith("    "):
            out.append("")
        out.append(line if formula else _safe(line))
    return [*out, ""]


def to_google(text: str, names: list[str]) -> str:
    """Return a docstring of ours in the layout of Google's.

    Args:
        text:  the docstring, without the indentation of the code around it.
        names: the parameters of the function or class.
    """
    blocks: list[tuple[str, list[str]]] = [("", [])]
    for line in text.splitlines():
        opened = _SECTION.match(line)
        if opened:
            blocks.append((opened[1] + (opened[2] or ""), [opened[3]]))
        elif blocks[-1][0] and line and not line.startswith(" "):
            blocks.append(("", [line]))
        else:
            blocks[-1][1].append(line)
    out: list[str] = []
    for title, lines in blocks:
        out += _section(title, lines, names) if title else _description(lines)
    return "\n".join(out)


class DenseDocstrings(griffe.Extension):
    """Rewrite every docstring of the package before the Google parser sees it."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        self._rewrite(pkg)

    def _rewrite(self, what: Any) -> None:
        if what.is_function and what.overloads:
            _take_arguments(what)
        if what.docstring is not None:
            names = [parameter.name.lstrip("*") for parameter in getattr(what, "parameters", [])]
            what.docstring.value = to_google(what.docstring.value, names)
        for member in what.members.values():
            if not member.is_alias:
                self._rewrite(member)


def _take_arguments(function: Any) -> None:
    """Give a function that hands on `**options` the named arguments of its overloads, with their types and defaults."""
    named: dict[str, list[Any]] = {}
    for use in function.overloads:
        for parameter in use.parameters:
            if parameter.kind is griffe.ParameterKind.keyword_only:
                named.setdefault(parameter.name, []).append(parameter)
    if "options" in function.parameters:
        del function.parameters["options"]
    for name, uses in named.items():
        if name not in function.parameters:
            default = " or ".join(dict.fromkeys(str(use.default) for use in uses))
            annotation = uses[0].annotation
            function.parameters.add(griffe.Parameter(name, kind=griffe.ParameterKind.keyword_only, annotation=annotation, default=default))
