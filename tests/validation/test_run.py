"""All self-checks pass on this solver; names, verdicts and seeds."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from eddygrad.validation import run as selfchecks
from eddygrad.validation.check import Check, Finding, Row
from eddygrad.validation.run import benchmarks, checks, run

CHEAP = ["order", "linear", "mean", "realisations", "gradient", "nog"]


def test_every_check_passes() -> None:
    rows = run()
    assert [row for row in rows if not row.passed] == []
    assert len({row.quantity for row in rows}) == len(rows) >= 33
    assert all(row.seconds > 0 for row in rows)  # how many depends on the machine and on what else it does


def test_the_cheap_checks_pass_for_other_seeds() -> None:
    assert [row for seed in (1, 2) for row in run(CHEAP, seed) if row.verdict != "pass"] == []


def test_equal_seeds_give_equal_rows() -> None:
    assert [row.got for row in run(["mean", "nog"], 5)] == [row.got for row in run(["mean", "nog"], 5)]


@pytest.mark.parametrize("got, verdict", [(1.0, "pass"), (1.1, "pass"), (1.11, "FAIL"), (0.89, "FAIL"), (math.nan, "FAIL"), (math.inf, "FAIL")])
def test_verdicts(got: float, verdict: str) -> None:
    assert Row("q", 1.0, got, 0.1 + 1e-12, 0.0).verdict == verdict


def test_an_unknown_check_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no check is called \['orders'\]; choose from \['order', 'linear'"):
        run(["orders"])


def test_every_check_has_a_summary() -> None:
    assert all(check.summary.endswith(".") for check in checks())
    assert all(check.summary.endswith(".") for check in benchmarks())
    assert {check.name for check in benchmarks()}.isdisjoint(check.name for check in checks())


def test_benchmarks_run_only_where_they_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def check(name: str) -> Check:
        def measure(seed: int) -> Iterator[Finding]:
            ran.append(name)
            yield Finding(name, 0.0, 0.0, 0.0)

        return Check(name, measure)

    monkeypatch.setattr(selfchecks, "checks", lambda: [check("mean")])
    monkeypatch.setattr(selfchecks, "benchmarks", lambda: [check("cavity")])
    run()
    assert ran == ["mean"]
    run(["cavity"])
    assert ran == ["mean", "cavity"]
