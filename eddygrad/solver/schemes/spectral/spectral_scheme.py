"""Base of the spectral schemes: they are bound to parameters here, with coefficients cached per distinct value."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from eddygrad.runtime.memory import ordinary_tensors
from eddygrad.solver.equations.equation import SpectralEquation
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.parameters import carries_gradient, check_names, check_rows, distinct_rows, per_sample
from eddygrad.solver.schemes.spectral.nonlinear_term import LinearMap, NonlinearTerm
from eddygrad.solver.schemes.spectral.runge_kutta import Program
from eddygrad.solver.schemes.spectral.spectral_step import Bound, SpectralStep
from eddygrad.solver.schemes.spectral.truncated_spectrum import Band
from eddygrad.solver.step import Observer, Params, Step, StepperInfo
from eddygrad.solver.transforms import dealias_mask

Values = Mapping[str, Tensor | float]


@dataclass(frozen=True)
class SpectralScheme(abc.ABC):
    """A time-stepping method for du/dt = L u + N(u) + f on a periodic grid.

    Args:
        equation: equation.
        grid:     grid; params["length"] replaces its length, also per sample (B, 1, *1) and with a gradient.
        dt:       time between returned states [s].
        substeps: inner steps per dt.
        dealias:  fraction of modes that state and nonlinear term keep, |m| < fraction N/2 on every axis; None keeps all and their aliases;
                  "auto" is what the equation's highest product needs.
        gradient: "adjoint" is hand-written and once differentiable, with respect to state and parameters; "autograd" is the slower reference.
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
        """The modes that the state keeps."""
        return Band(self.grid, self.equation.dealias if self.dealias == "auto" else self.dealias)

    def info(self) -> StepperInfo:
        """Return grid, equation and substep."""
        return StepperInfo(grid=self.grid, equation=self.equation, substep=self.substep)

    @abc.abstractmethod
    def program(self, symbol: Tensor, dtype: torch.dtype) -> Program:
        """Return the substep for the linear symbol.

        Args:
            symbol: L (1 or B, 1 or C, *band), float64 or complex128 [1/s].
            dtype:  complex dtype to which the factors are cast last.
        """

    def at(self, params: Params, like: Tensor, observe: Observer | None = None) -> Step:
        """Bind to physical parameters. The step is once differentiable; `torch.func.jvp`, `vmap` and second derivatives need gradient="autograd".

        Args:
            params:  values by name; the equation's own values serve for missing ones. "forcing" (1 or B, C, *grid) is a force that is constant in
                     time [unit of the state / s], added to the equation's own. Further names are allowed beside the equation's, because networks
                     and other solvers get the same mapping; "t0" always is.
            like:    an example state (B, C, *grid).
            observe: not used; a spectral step reports nothing.
        Raises: ValueError for an unknown name close to a known one ("Length"), for an unknown name without any of the equation's own
                ({"L": 99} would run on the grid's length), and for values that are neither numbers nor one per sample.
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
        check_rows({**values, **({} if forcing is None else {"forcing": forcing})})
        if any(carries_gradient(v) for v in values.values()):
            return self._step(values, like.dtype, like.device, forcing)
        distinct, index = distinct_rows(values)
        if forcing is None and len(distinct) == 1:
            return _shared(self, tuple(values), distinct, like.dtype, like.device)
        bound = _table(self, tuple(values), distinct, like.dtype, like.device)
        if len(distinct) > 1:
            with ordinary_tensors():
                bound = bound.mapped(lambda t: t[index] if t.shape[0] > 1 else t)
        return self._spectral(bound, forcing)

    def _step(self, values: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device, forcing: Tensor | None = None) -> Step:
        """Build the step for these values, which may carry a graph."""
        return self._spectral(self.bind(values, dtype, device), forcing, plain="length" in values and values["length"].requires_grad)

    def _spectral(self, bound: Bound, forcing: Tensor | None = None, plain: bool = False) -> Step:
        if forcing is not None:
            with nullcontext() if forcing.requires_grad else ordinary_tensors():
                own, given = bound.term.force, self._transformed(forcing, bound)
                bound = replace(bound, term=replace(bound.term, force=given if own is None else own + given))
        return SpectralStep(bound, self.band, self.substeps, plain or self.gradient == "autograd")

    def _constraint(self, values: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device | str) -> LinearMap | None:
        """Return the equation's constraint, from wavenumbers that are 0 at Nyquist modes. A length per sample does not change directions."""
        length = torch.ones((), dtype=torch.float64, device=device) if "length" in values else None
        table = self.equation.constraint(self.band.directions(length, device))
        return None if table is None else _map(table, lambda e: _rows(e, self.band)[0].to(dtype))

    def bind(self, values: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device | str) -> Bound:
        """Compute all coefficients in float64 and cast them last.

        Args:
            values: parameters (rows, *1) in float64; the equation's own values serve for missing ones.
            dtype:  real dtype of the state.
            device: device of the state.
        """
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
        known: list[str] = [field.name for field in fields(self.equation)] if is_dataclass(self.equation) else []
        own = {name: getattr(self.equation, name) for name in self.equation.parameters if name in known}
        return {**own, **values}

    def _own_force(self, k: tuple[Tensor, ...], params: Values, dtype: torch.dtype, device: torch.device | str) -> Tensor | None:
        """Return the equation's forcing on the band; an amplitude of e^(i k.x) is multiplied by N^ndim, as the FFT (norm "backward") has it."""
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
        """Return params["forcing"] as (1 or B, C, *grid)."""
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
    """Expand to (1 or B, *band)."""
    t = t if t.ndim > band.grid.ndim else t.unsqueeze(0)
    return t.expand(t.shape[0], *band.shape).contiguous()


@lru_cache(maxsize=32)
def _table(scheme: SpectralScheme, names: tuple[str, ...], rows: tuple[tuple[float, ...], ...], dtype: torch.dtype, device: torch.device) -> Bound:
    """Return the coefficients for distinct rows of values."""
    with ordinary_tensors():
        shape = (-1,) + (1,) * scheme.grid.ndim
        columns = torch.tensor(rows, dtype=torch.float64, device=device).reshape(len(rows), len(names))
        return scheme.bind({name: columns[:, i].reshape(shape) for i, name in enumerate(names)}, dtype, device)


@lru_cache(maxsize=64)
def _shared(scheme: SpectralScheme, names: tuple[str, ...], rows: tuple[tuple[float, ...], ...], dtype: torch.dtype, device: torch.device) -> Step:
    """Return the step for one row of values; the whole step is cached, including what it has prepared."""
    with ordinary_tensors():
        values = {name: torch.tensor(v, dtype=torch.float64, device=device).reshape(1, *[1] * scheme.grid.ndim) for name, v in zip(names, rows[0])}
        return scheme._step(values, dtype, device)
