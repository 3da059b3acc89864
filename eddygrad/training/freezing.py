"""A second look at an update that moves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def at_rest(*parts: Any) -> Iterator[None]:
    """What moves with every update, as weights of points do, stays as it is here: it is `frozen`."""
    moving = [part for part in parts if not part.frozen]
    for part in moving:
        part.frozen = True
    try:
        yield
    finally:
        for part in moving:
            part.frozen = False
