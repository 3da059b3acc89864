"""The self-checks of the Kuramoto-Sivashinsky solver fail on wrong equations, schemes and cuts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from torch import Tensor

from eddygrad.solver.equations.equation import Table, Values, Wavenumbers
from eddygrad.solver.equations.kuramoto_sivashinsky import KuramotoSivashinsky
from eddygrad.solver.unroll import always, unroll
from eddygrad.validation import kuramoto_sivashinsky as checks
from eddygrad.validation.check import Row
from eddygrad.validation.run import run


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
    monkeypatch.setattr(checks, "KuramotoSivashinsky", equation)
    assert {row.verdict for row in run([name])} == {"FAIL"}


def test_probes_fail_for_a_wrong_amplitude(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "KuramotoSivashinsky", _Weaker)
    finding = next(checks.paper_probes(0, starts=20, window=20))
    assert not Row(*finding, seconds=0.0).passed
    assert finding.got == pytest.approx(2 * finding.expected, rel=0.15)


def test_a_scheme_of_lower_order_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = checks._frame
    monkeypatch.setattr(checks, "_frame", lambda order, grid, n, dt: frame(3 if (order, n < 4096) == (4, True) else order, grid, n, dt))
    assert [row.verdict for row in run(["order"])] == ["pass", "pass", "pass", "FAIL"]


def _cut_everywhere(step: Callable, u: Tensor, n: int, cut: object = None) -> object:
    return unroll(step, u, n, always)


@pytest.mark.parametrize("name, attribute, wrong", [("gradient", "unroll", _cut_everywhere), ("nog", "always", lambda k: False)])
def test_a_wrong_cut_fails(monkeypatch: pytest.MonkeyPatch, name: str, attribute: str, wrong: object) -> None:
    monkeypatch.setattr(checks, attribute, wrong)
    assert run([name])[0].verdict == "FAIL"
