"""What weightings share that remember nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


class Steady:
    """Answers like every `Weighting`, with nothing to look at, to be announced, to be frozen or to be kept."""

    wants_gradients = False
    due = False
    frozen = True
    looks_at = "losses"

    def announced(self, names: Collection[str]) -> None:
        """Terms that are new change nothing."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Raises: ValueError for the state of a weighting that remembers."""
        if state:
            raise ValueError(f"{type(self).__name__}: expected an empty state, got {sorted(state)}; it is another weighting's")
