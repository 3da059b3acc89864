"""The self-checks pass on this solver and fail on wrong ones."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from torch import Tensor

from eddygrad.solver.equations.equation import Table, Values, Wavenumbers
from eddygrad.solver.equations.kuramoto_sivashinsky import KuramotoSivashinsky
from eddygrad.solver.rollout import always, unroll
from eddygrad.validation import run as selfchecks
from eddygrad.validation.run import Row, checks, run

CHEAP = ["order", "linear", "mean", "realisations", "gradient", "nog"]


def test_every_check_passes() -> None:
    rows = run()
    assert [row for row in rows if not row.passed] == []
    assert len({row.quantity for row in rows}) == len(rows) >= 33
    assert sum(row.seconds for row in rows) < 120  # some 10 s on a free core


def test_the_cheap_checks_pass_for_other_seeds() -> None:
    assert [row for seed in (1, 2) for row in run(CHEAP, seed) if row.verdict != "pass"] == []


def test_equal_seeds_give_equal_rows() -> None:
    assert [row.got for row in run(["mean", "nog"], 5)] == [row.got for row in run(["mean", "nog"], 5)]


class _Faster(KuramotoSivashinsky):
    def symbol(self, k: Wavenumbers, params: Values) -> tuple[Tensor]:
        return (1.001 * super().symbol(k, params)[0],)


class _Leaking(KuramotoSivashinsky):
    def symbol(self, k: Wavenumbers, params: Values) -> tuple[Tensor]:
        return (super().symbol(k, params)[0] - 1e-6,)


class _Weaker(KuramotoSivashinsky):
    """Half the nonlinearity: the same chaos at twice the amplitude."""

    def analysis(self, k: Wavenumbers, params: Values) -> Table:
        return ((-0.25j * k[0],),)


@pytest.mark.parametrize("equation, name", [(_Faster, "linear"), (_Leaking, "mean")])
def test_a_wrong_equation_fails(monkeypatch: pytest.MonkeyPatch, equation: type, name: str) -> None:
    monkeypatch.setattr(selfchecks, "KuramotoSivashinsky", equation)
    assert {row.verdict for row in run([name])} == {"FAIL"}


def test_probes_fail_for_a_wrong_amplitude(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selfchecks, "KuramotoSivashinsky", _Weaker)
    finding = next(selfchecks.paper_probes(0, starts=20, window=20))
    assert not Row(*finding, seconds=0.0).passed
    assert finding.got == pytest.approx(2 * finding.expected, rel=0.15)


def test_a_scheme_of_lower_order_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = selfchecks._frame
    monkeypatch.setattr(selfchecks, "_frame", lambda order, grid, n, dt: frame(3 if (order, n < 4096) == (4, True) else order, grid, n, dt))
    assert [row.verdict for row in run(["order"])] == ["pass", "pass", "pass", "FAIL"]


def _cut_everywhere(step: Callable, u: Tensor, n: int, cut: object = None) -> object:
    return unroll(step, u, n, always)


@pytest.mark.parametrize("name, attribute, wrong", [("gradient", "unroll", _cut_everywhere), ("nog", "always", lambda k: False)])
def test_a_wrong_cut_fails(monkeypatch: pytest.MonkeyPatch, name: str, attribute: str, wrong: object) -> None:
    monkeypatch.setattr(selfchecks, attribute, wrong)
    assert run([name])[0].verdict == "FAIL"


@pytest.mark.parametrize("got, verdict", [(1.0, "pass"), (1.1, "pass"), (1.11, "FAIL"), (0.89, "FAIL"), (math.nan, "FAIL"), (math.inf, "FAIL")])
def test_verdicts(got: float, verdict: str) -> None:
    assert Row("q", 1.0, got, 0.1 + 1e-12, 0.0).verdict == verdict


def test_an_unknown_check_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no check is called \['orders'\]; choose from \['order', 'linear'"):
        run(["orders"])


def test_every_check_says_what_it_is() -> None:
    assert all(check.summary.endswith(".") for check in checks())
