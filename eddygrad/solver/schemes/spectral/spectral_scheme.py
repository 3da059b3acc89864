"""What the spectral schemes share: how they are bound to parameters, with coefficients kept per distinct value."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.autograd.forward_ad import unpack_dual

from eddygrad.runtime.memory import ordinary_tensors
from eddygrad.solver.equations.equation import SpectralEquation
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.spectral.nonlinear_term import LinearMap, NonlinearTerm
from eddygrad.solver.schemes.spectral.runge_kutta import Program
from eddygrad.solver.schemes.spectral.spectral_step import Bound, SpectralStep
from eddygrad.solver.schemes.spectral.truncated_spectrum import Band
from eddygrad.solver.step import Observer, Params, Step, StepperInfo
from eddygrad.solver.transforms import dealias_mask

Values = Mapping[str, Tensor | float]


@dataclass(frozen=True)
class SpectralScheme(abc.ABC):
    """A time stepping method for du/dt = L u + N(u) + f on a periodic grid.

    Args:
        equation: what is stepped.
        grid:     where; params["length"] replaces its length, per sample (B, 1, *1) if wished, with a gradient if it requires one.
        dt:       time between returned states [s].
        substeps: inner steps per dt.
        dealias:  fraction of modes that state and nonlinear term keep, |m| < fraction N/2 on every axis; None keeps all and their aliases;
                  "auto" is what the equation's highest product needs.
        gradient: "adjoint" is written by hand, once differentiable, by state and parameters; "autograd" is the readable reference, slower.
    """

    equation: SpectralEquation
    grid: Grid
    dt: float
    substeps: int = 1
    dealias: float | Literal["auto"] | None = "auto"
    gradient: Literal["adjoint", "autograd"] = "adjoint"

    def __post_init__(self) -> None:
        name = type(self).__name__
        if not self.dt > 0 or self.substeps < 1 or self.substeps != int(self.substeps):
            raise ValueError(f"{name}: dt must be positive and substeps a whole number of at least 1, got dt={self.dt}, substeps={self.substeps}")
        if self.grid.ndim != self.equation.ndim:
            raise ValueError(f"{name}: {self.equation.name} lives in {self.equation.ndim}-D, got a grid of shape {self.grid.shape}")
        if self.gradient not in ("adjoint", "autograd"):
            raise ValueError(f"{name}: gradient must be 'adjoint' or 'autograd', got {self.gradient!r}")
        if isinstance(self.dealias, str) and self.dealias != "auto":
            raise ValueError(f"{name}: dealias must be a fraction, None or 'auto', got {self.dealias!r}")
        if self.band.dealias is not None:
            dealias_mask(self.grid, self.band.dealias)

    @property
    def differentiable(self) -> bool:
        return True

    @property
    def substep(self) -> float:
        """h = dt / substeps [s]."""
        return self.dt / self.substeps

    @property
    def band(self) -> Band:
        """The modes that the state holds."""
        return Band(self.grid, self.equation.dealias if self.dealias == "auto" else self.dealias)

    def info(self) -> StepperInfo:
        return StepperInfo(grid=self.grid, equation=self.equation, substep=self.substep)

    @abc.abstractmethod
    def program(self, symbol: Tensor, dtype: torch.dtype) -> Program:
        """The substep's factors from the linear symbol L (1 or B, 1 or C, *band), float64 or complex128, cast to the complex `dtype` last."""

    def at(self, params: Params, like: Tensor, observe: Observer | None = None) -> Step:
        """Bind to `params`: the step for states like `like` (B, C, *grid). Those left out have the equation's own values.

        Names that the equation does not have may stand beside its own, for networks and other solvers see the same mapping; "t0" always may.
        "forcing" (1 or B, C, *grid) is a force that is constant in time [unit of the state / s], beside the equation's own.
        Differentiable once, backwards; for `torch.func.jvp`, `vmap` and second derivatives build the scheme with gradient="autograd".
        Raises: ValueError for an unknown name that nearly is a known one ("Length"), for any unknown name where none of the equation's own
                is given ({"L": 99} would run on the grid's length), and for values that are neither numbers nor one per sample.
        """
        self.grid.check(like)
        if like.dtype not in (torch.float32, torch.float64):
            raise ValueError(f"state: expected float32 or float64, got {str(like.dtype).removeprefix('torch.')}; transforms have no other precision")
        if like.shape[-self.grid.ndim - 1] != len(self.equation.channels):
            raise ValueError(f"state: {self.equation.name} has the channels {list(self.equation.channels)}, got {like.shape[-self.grid.ndim - 1]}")
        check_names(params, self.equation)
        given = {name: params[name] for name in self.equation.parameters if name in params and name != "forcing"}
        values = {name: per_sample(name, value, like, self.grid.ndim) for name, value in given.items()}
        forcing = self._forcing(params, like)
        _check_rows({**values, **({} if forcing is None else {"forcing": forcing})})
        if any(_carries(v) for v in values.values()):
            return self._step(values, like.dtype, like.device, forcing)
        distinct, index = _distinct(values)
        if forcing is None and len(distinct) == 1:
            return _shared(self, tuple(values), distinct, like.dtype, like.device)
        bound = _table(self, tuple(values), distinct, like.dtype, like.device)
        if len(distinct) > 1:
            with ordinary_tensors():
                bound = bound.mapped(lambda t: t[index] if t.shape[0] > 1 else t)
        return self._spectral(bound, forcing)

    def _step(self, values: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device, forcing: Tensor | None = None) -> Step:
        """The step for these values, built anew: they may carry a graph."""
        return self._spectral(self.bind(values, dtype, device), forcing, plain="length" in values and values["length"].requires_grad)

    def _spectral(self, bound: Bound, forcing: Tensor | None = None, plain: bool = False) -> Step:
        if forcing is not None:
            with nullcontext() if forcing.requires_grad else ordinary_tensors():
                own, given = bound.term.force, self._transformed(forcing, bound)
                bound = replace(bound, term=replace(bound.term, force=given if own is None else own + given))
        return SpectralStep(bound, self.band, self.substeps, plain or self.gradient == "autograd")

    def _constraint(self, values: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device | str) -> LinearMap | None:
        """By directed wavenumbers: a Nyquist mode has none along its axis. Directions do not depend on how long a box is that has one length."""
        length = torch.ones((), dtype=torch.float64, device=device) if "length" in values else None
        table = self.equation.constraint(self.band.directions(length, device))
        return None if table is None else _map(table, lambda e: _rows(e, self.band)[0].to(dtype))

    def bind(self, values: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device | str) -> Bound:
        """All coefficients for parameters (rows, *1) in float64: computed so, cast last."""
        band, equation = self.band, self.equation
        k = band.wavenumbers(values.get("length"), device)
        params = self._values(values)
        directed = band.directed(device)
        complex_dtype = torch.complex64 if dtype == torch.float32 else torch.complex128

        def entry(e: Tensor) -> Tensor:
            return _rows((e * directed).to(complex_dtype), band)

        symbols = [_rows(torch.complex(s.real, s.imag * directed) if s.is_complex() else s, band) for s in equation.symbol(k, params)]
        symbol = torch.stack(torch.broadcast_tensors(*symbols), 1)
        table = equation.synthesis(k, params)
        inside = {name: torch.as_tensor(params[name], dtype=torch.float64, device=device) for name in equation.inside}
        term = NonlinearTerm(
            equation,
            band,
            None if table is None else _map(table, entry),
            _map(equation.analysis(k, params), entry),
            {name: value.reshape(-1, *[1] * self.grid.ndim).to(dtype, copy=True) for name, value in inside.items()},
            self._own_force(k, params, complex_dtype, device),
        )
        return Bound(self.program(symbol, complex_dtype), term, self._constraint(values, complex_dtype, device))

    def _values(self, values: Mapping[str, Tensor]) -> dict[str, Tensor | float]:
        fields: Any = getattr(self.equation, "__dataclass_fields__", {})
        own = {name: getattr(self.equation, name) for name in self.equation.parameters if name in fields}
        return {**own, **values}

    def _own_force(self, k: tuple[Tensor, ...], params: Values, dtype: torch.dtype, device: torch.device | str) -> Tensor | None:
        """The equation's forcing on the band: an amplitude of e^(i k.x) is N^ndim times it in a transform of norm "backward"."""
        modes = self.equation.forcing(k, params)
        if not modes:
            return None
        band, channels, directed = self.band, len(self.equation.channels), self.band.directed()
        force = torch.zeros(1, channels, *band.shape, dtype=torch.complex128, device=device)
        for channel, own in modes.items():
            for mode, amplitude in own.items():
                if abs(mode[-1]) >= band.columns or any(2 * abs(m) >= n for m, n in zip(mode, self.grid.shape)) or not directed[band.place(mode)]:
                    raise ValueError(f"forcing: mode {mode} is not among those that the grid {self.grid.shape} keeps; refine it")
                place = torch.zeros(band.shape, dtype=torch.complex128, device=device)
                place[band.place(mode)] = band.points
                value = torch.as_tensor(amplitude, dtype=torch.complex128, device=device).reshape(-1, *[1] * self.grid.ndim)
                only = torch.zeros(channels, *[1] * self.grid.ndim, dtype=torch.complex128, device=device)
                only[channel] = 1
                force = force + only * (value * place).unsqueeze(1)
        return force.to(dtype)

    def _forcing(self, params: Params, like: Tensor) -> Tensor | None:
        """A force that is given as a field, (1 or B, C, *grid)."""
        if "forcing" not in params:
            return None
        if "forcing" not in self.equation.parameters:
            raise ValueError(f"params: {self.equation.name} takes no 'forcing'; leave it out")
        forcing = params["forcing"]
        shape = like.shape[-self.grid.ndim - 1 :]
        if not isinstance(forcing, Tensor) or forcing.shape[-self.grid.ndim - 1 :] != shape or forcing.ndim > like.ndim + 1:
            got = tuple(forcing.shape) if isinstance(forcing, Tensor) else forcing
            raise ValueError(f"params: 'forcing' must be a field ([batch,] {', '.join(map(str, shape))}), got {got}")
        return forcing.to(like.device, like.dtype).reshape(-1, *shape)

    def _transformed(self, forcing: Tensor, bound: Bound) -> Tensor:
        h, mask = self.band.fft(forcing), self.band.mask(forcing.device)
        h = h if mask is None else h * mask.to(h.dtype)
        return h if bound.constraint is None else bound.constraint(h.transpose(0, 1), 1)


def _map(table: Sequence[Sequence[Tensor | None]], entry: Callable[[Tensor], Tensor]) -> LinearMap:
    return LinearMap(tuple(tuple(None if e is None else entry(e) for e in row) for row in table))


def _rows(t: Tensor, band: Band) -> Tensor:
    """(1 or B, *band)"""
    t = t if t.ndim > band.grid.ndim else t.unsqueeze(0)
    return t.expand(t.shape[0], *band.shape).contiguous()


def check_names(params: Params, equation: SpectralEquation, others_read: bool = False) -> None:
    """Raises: ValueError for a misspelt name, and for names of which the equation has none, unless others read the parameters too."""
    own = set(equation.parameters)
    known = sorted(own | {"length", "t0"})
    unknown = sorted(set(params) - set(known))
    for name in unknown:
        lower = {k.lower(): k for k in known}
        near = get_close_matches(name.lower(), lower, n=1, cutoff=0.8)
        if near:
            raise ValueError(f"params: {equation.name} has no {name!r}, got {sorted(params)}; did you mean {lower[near[0]]!r}?")
    if unknown and own and own.isdisjoint(params) and not others_read:
        raise ValueError(
            f"params: {equation.name} has {sorted(own)}, got {unknown}; rename it, or give {sorted(own)[0]!r} too if others need {unknown[0]!r}"
        )


def per_sample(name: str, value: Tensor | float, like: Tensor, ndim: int) -> Tensor:
    """(1 or B or S B, *1) in float64 on the state's device: a number for all, (batch, 1, *1), or with stacked seeds (seeds, batch or 1, 1, *1).

    Raises: ValueError for any other shape, a value that is not finite, a length that is not positive and a negative viscosity.
    """
    value = value if isinstance(value, Tensor) else torch.tensor(float(value), dtype=torch.float64)
    _check_values(name, value)
    value = value.to(like.device, torch.float64)
    if value.numel() == 1:
        return value.reshape(1, *[1] * ndim)
    if value.ndim < ndim + 2 or any(n != 1 for n in value.shape[-ndim - 1 :]):
        raise ValueError(f"params: {name!r} must be a number or (batch, {', '.join(['1'] * (ndim + 1))}), got {tuple(value.shape)}")
    if value.ndim == ndim + 3 and value.shape[1] == 1:  # one per seed: the same for every sample of it
        value = value.expand(value.shape[0], like.shape[0], *value.shape[2:])
    return value.reshape(-1, *[1] * ndim)


def _check_values(name: str, value: Tensor) -> None:
    """Values on an accelerator are not waited for, but for a length."""
    if (value.device.type != "cpu" and name != "length") or is_functorch_wrapped_tensor(value):
        return
    good = {"length": value > 0, "viscosity": value >= 0}.get(name, torch.isfinite(value)) & torch.isfinite(value)
    if not bool(good.all()):
        expected = {"length": "positive and finite", "viscosity": "finite and not negative"}.get(name, "finite")
        raise ValueError(f"params: {name!r} must be {expected}, got {value.detach()[~good].tolist()[:4]}")


def _carries(value: Tensor) -> bool:
    """Whether a value has a graph or a tangent, which coefficients that are kept would lose."""
    return value.requires_grad or is_functorch_wrapped_tensor(value) or unpack_dual(value).tangent is not None


def _check_rows(values: Mapping[str, Tensor]) -> None:
    count = max((len(v) for v in values.values()), default=1)
    for name, value in values.items():
        if len(value) not in (1, count):
            raise ValueError(f"params: {name!r} has {len(value)} samples, others {count}; give a number or one value per sample")


def _distinct(values: Mapping[str, Tensor]) -> tuple[tuple[tuple[float, ...], ...], Tensor]:
    """The different rows of parameter values, and which of them each sample has."""
    if not values:
        return ((),), torch.zeros(1, dtype=torch.long)
    columns = [v.detach().reshape(-1) for v in values.values()]
    count = max(len(c) for c in columns)
    if count == 1:
        return (tuple(float(c) for c in columns),), torch.zeros(1, dtype=torch.long)
    with ordinary_tensors():
        rows = torch.stack([c.expand(count) for c in columns], 1)
        distinct, index = torch.unique(rows, dim=0, return_inverse=True)
        return tuple(map(tuple, distinct.tolist())), index


@lru_cache(maxsize=32)
def _table(scheme: SpectralScheme, names: tuple[str, ...], rows: tuple[tuple[float, ...], ...], dtype: torch.dtype, device: torch.device) -> Bound:
    """Coefficients of the distinct rows of values."""
    with ordinary_tensors():
        shape = (-1,) + (1,) * scheme.grid.ndim
        columns = torch.tensor(rows, dtype=torch.float64, device=device).reshape(len(rows), len(names))
        return scheme.bind({name: columns[:, i].reshape(shape) for i, name in enumerate(names)}, dtype, device)


@lru_cache(maxsize=64)
def _shared(scheme: SpectralScheme, names: tuple[str, ...], rows: tuple[tuple[float, ...], ...], dtype: torch.dtype, device: torch.device) -> Step:
    """The step for one row of values: kept whole, with what it has prepared."""
    with ordinary_tensors():
        values = {name: torch.tensor(v, dtype=torch.float64, device=device).reshape(1, *[1] * scheme.grid.ndim) for name, v in zip(names, rows[0])}
        return scheme._step(values, dtype, device)
