"""Names with options as a user types them: "poisson:k=6", "inverse-dirichlet:reference=largest,every=1"."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from eddygrad.runtime.options import checked

T = TypeVar("T")


@dataclass(frozen=True)
class Spec:
    """A name and its options."""

    name: str
    options: dict[str, Any]

    @staticmethod
    def parse(text: str, kind: str) -> Spec:
        """Read NAME or NAME:KEY=VALUE,KEY=VALUE. Numbers, booleans and none are converted; other values stay text.

        Args:
            text: as typed.
            kind: kind of object, e.g. "optimizer"; begins the error message.
        Raises: ValueError for another form, or a key given twice.
        """
        if not isinstance(text, str):
            raise ValueError(f"{kind}: expected NAME or NAME:KEY=VALUE,KEY=VALUE, got {text!r}")
        name, colon, rest = text.strip().partition(":")
        options: dict[str, Any] = {}
        for part in rest.split(",") if colon else ():
            key, equals, value = part.partition("=")
            if not (key.strip().isidentifier() and equals and value.strip()) or key.strip() in options:
                raise ValueError(f"{kind}: expected NAME or NAME:KEY=VALUE,KEY=VALUE, each key once, got {text!r}")
            options[key.strip()] = _value(value.strip())
        if not name:
            raise ValueError(f"{kind}: expected NAME or NAME:KEY=VALUE,KEY=VALUE, got {text!r}")
        return Spec(name, options)


class Registry(dict[str, T]):
    """Objects of one kind by the name that a user types; a dictionary in the order of its names.

    Args:
        kind:    word that begins error messages, e.g. "optimizer".
        entries: name -> entry.
    """

    def __init__(self, kind: str, entries: Mapping[str, T]) -> None:
        super().__init__(entries)
        self.kind = kind

    def names(self) -> tuple[str, ...]:
        """Return all names."""
        return tuple(self)

    def find(self, name: str) -> T:
        """Return the entry of a name. Raises ValueError for an unknown name."""
        if name not in self:
            raise ValueError(f"{self.kind}: expected one of {', '.join(self)}, got {name!r}")
        return self[name]

    def spec(self, text: str) -> Spec:
        """Read NAME or NAME:KEY=VALUE,... Raises ValueError for another form or an unknown name."""
        spec = Spec.parse(text, self.kind)
        self.find(spec.name)
        return spec

    def options(self, spec: Spec, takes: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of a spec, checked against name -> type. Raises ValueError for an unknown option or a value of another type."""
        return checked(f"{self.kind}: {spec.name}", spec.options, takes)


def _value(text: str) -> Any:
    try:
        value = ast.literal_eval({"true": "True", "false": "False", "none": "None"}.get(text, text))
    except (ValueError, SyntaxError):
        return text
    return value if isinstance(value, int | float | bool | None) else text
