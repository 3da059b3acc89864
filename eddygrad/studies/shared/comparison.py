"""One ratio of errors between two runs, as a member of a family of tests, and its row in result files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from eddygrad.studies.shared.statistics import Ratio, holm
from eddygrad.studies.shared.text_tables import finite


@dataclass(frozen=True)
class Comparison:
    """A ratio of errors inside a family of ratios that is corrected as a whole.

    Args:
        family:        title of the family. kind: the question that it answers, e.g. "modality" or "baseline".
        group:         the network and the number of updates, or the block, of the first run.
        first, second: names of the two runs. label: how tables name the ratio.
        ratio:         error of the first run over that of the second.
        p_holm:        p-value after Holm's correction inside the family. paper: the published ratio, None if there is none.
        by_set:        the ratio inside each test set, uncorrected: one set with large errors can decide the whole.
        median_state:  the ratio with the median over test states in place of their mean.
    """

    family: str
    kind: str
    group: str
    first: str
    second: str
    label: str
    ratio: Ratio
    p_holm: float = float("nan")
    paper: float | None = None
    by_set: Mapping[str, Ratio] = field(default_factory=dict)
    median_state: float = float("nan")

    @property
    def significant(self) -> bool:
        """Whether the ratio differs from 1 at the level of its interval, after Holm's correction."""
        return self.p_holm < 1 - self.ratio.level


def corrected(family: Sequence[Comparison]) -> list[Comparison]:
    """Return the comparisons of one family with p-values after Holm's correction."""
    return [replace(c, p_holm=p) for c, p in zip(family, holm([c.ratio.p for c in family]), strict=True)]


def comparison_rows(compared: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Return one flat row per comparison; None where a number does not exist."""
    return [_row(c) for c in compared]


def _row(c: Comparison) -> dict[str, Any]:
    numbers = {k: finite(v) if isinstance(v, float) else v for k, v in asdict(c.ratio).items() if k != "sizes"}
    return {
        "kind": c.kind,
        "family": c.family,
        "group": c.group,
        "label": c.label,
        "first": c.first,
        "second": c.second,
        "paper": c.paper,
        **numbers,
        "p_holm": finite(c.p_holm),
        "n_first": c.ratio.sizes[0],
        "n_second": c.ratio.sizes[1],
        "median_state": finite(c.median_state),
        "by_set": {
            name: {"ratio": finite(r.ratio), "low": finite(r.low), "high": finite(r.high), "medians": finite(r.medians)}
            for name, r in c.by_set.items()
        },
    }
