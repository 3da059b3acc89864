"""Names with options as a user types them: "poisson:k=6", "inverse-dirichlet:reference=largest,every=1"."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Spec:
    """A name and its options."""

    name: str
    options: dict[str, Any]

    @staticmethod
    def parse(text: str, what: str) -> Spec:
        """Numbers, booleans and None are read as such, all else as text.

        Args:   what: is spelled, for the error.
        Raises: ValueError for anything but NAME or NAME:KEY=VALUE,KEY=VALUE.
        """
        name, colon, rest = text.strip().partition(":")
        options: dict[str, Any] = {}
        for part in rest.split(",") if colon else ():
            key, equals, value = part.partition("=")
            if not (key.strip().isidentifier() and equals and value.strip()) or key.strip() in options:
                raise ValueError(f"{what}: expected NAME or NAME:KEY=VALUE,KEY=VALUE, each key once, got {text!r}")
            options[key.strip()] = _value(value.strip())
        if not name:
            raise ValueError(f"{what}: expected NAME or NAME:KEY=VALUE,KEY=VALUE, got {text!r}")
        return Spec(name, options)


def _value(text: str) -> Any:
    try:
        value = ast.literal_eval({"true": "True", "false": "False", "none": "None"}.get(text, text))
    except (ValueError, SyntaxError):
        return text
    return value if isinstance(value, int | float | bool | None) else text
