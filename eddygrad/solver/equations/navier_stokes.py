"""Incompressible Navier-Stokes equations on a periodic box: vorticity form in two dimensions, velocity form in two and three."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from eddygrad.solver.equations.equation import Local, Table, Values, Wavenumbers, for_residual
from eddygrad.solver.vector_calculus import inverse_square, leray_table, projected, square

_PARAMETERS = {
    "viscosity": "m^2/s",
    "drag": "1/s",
    "hyperviscosity": "m^(2p)/s",
    "forcing_amplitude": "m/s^2",
    "length": "m",
}


@dataclass(frozen=True)
class _NavierStokes:
    """Base of both forms: damping and Kolmogorov forcing."""

    viscosity: float = 1e-3
    drag: float = 0.0
    hyperviscosity: float = 0.0
    hyper_power: int = 4
    forcing_amplitude: float = 0.0
    forcing_mode: int = 4

    inside: ClassVar[tuple[str, ...]] = ()
    dealias: ClassVar[float | None] = 2 / 3

    def __post_init__(self) -> None:
        if self.forcing_mode < 1 or self.hyper_power < 1:
            raise ValueError(f"Navier-Stokes: forcing_mode and hyper_power must be at least 1, got {self.forcing_mode} and {self.hyper_power}")

    def _for_residual(self, params: Values | None, zero: tuple[str, ...]) -> dict[str, Tensor | float]:
        """Return the parameters of the residual, see `for_residual`. Raises ValueError if one of `zero` is not zero: the residual lacks its term."""
        values: dict[str, Tensor | float] = for_residual(self, params)
        for name in zero:
            if isinstance(values[name], Tensor) or values[name] != 0:
                raise ValueError(f"residual: {name} must be zero; give its force as params['forcing'], or use the solver")
        return values

    def _damping(self, k: Wavenumbers, params: Values) -> Tensor:
        """Return -nu k^2 - nu_h k^(2p) - drag [1/s]."""
        k2 = square(k)
        damping = -params["viscosity"] * k2 - params["drag"]
        hyper = params["hyperviscosity"]
        if isinstance(hyper, Tensor) or hyper != 0:
            damping = damping - hyper * k2**self.hyper_power
        return damping

    def _is_forced(self, params: Values) -> bool:
        amplitude = params["forcing_amplitude"]
        return isinstance(amplitude, Tensor) or amplitude != 0


@dataclass(frozen=True)
class NavierStokesVorticity(_NavierStokes):
    """Two-dimensional incompressible flow by its vorticity w = v_x - u_y.

        w_t + ((U + u) . grad) w = nu lap w - drag w - nu_h (-lap)^p w + curl f
        u = psi_y,  v = -psi_x,  -lap psi = w;      Kolmogorov forcing f = (A sin(n 2 pi y / L_y), 0)
        u . grad w = (d_xx - d_yy)(u v) + d_xy (v^2 - u^2)          Basdevant 1983: two transforms to physical space and two back
    State: one channel, vorticity [1/s], zero mean. Parameters: viscosity nu [m^2/s], drag [1/s], hyperviscosity nu_h [m^2p/s] of power p =
    `hyper_power`, forcing_amplitude A [m/s^2] at mode n = `forcing_mode`, mean_u and mean_v, the mean flow U [m/s], which is part of the linear
    symbol; "forcing", a field curl f [1/s^2]. Without force and damping it conserves energy and enstrophy.
    """

    mean_u: float = 0.0
    mean_v: float = 0.0

    name: ClassVar[str] = "navier-stokes-vorticity"
    channels: ClassVar[tuple[str, ...]] = ("vorticity",)
    parameters: ClassVar[Mapping[str, str]] = {**_PARAMETERS, "mean_u": "m/s", "mean_v": "m/s", "forcing": "1/s^2"}
    needs: ClassVar[tuple[str, ...]] = ("u", "v", "w_t", "w_x", "w_y", "w_lap", "w")
    ndim: ClassVar[int] = 2

    def symbol(self, k: Wavenumbers, params: Values) -> tuple[Tensor]:
        """Return -nu k^2 - nu_h k^(2p) - drag - i k . U [1/s]."""
        damping, mean = self._damping(k, params), (params["mean_u"], params["mean_v"])
        if any(isinstance(m, Tensor) or m != 0 for m in mean):
            return (damping - 1j * (k[0] * mean[0] + k[1] * mean[1]),)
        return (damping,)

    def synthesis(self, k: Wavenumbers, params: Values) -> Table:
        """Return the velocity of the vorticity: u_hat = i k_y w_hat / k^2, v_hat = -i k_x w_hat / k^2."""
        inverse = inverse_square(k)
        return (1j * k[1] * inverse,), (-1j * k[0] * inverse,)

    def constraint(self, k: Wavenumbers) -> None:
        """Return None: every vorticity is admissible."""
        return None

    def products(self, fields: Sequence[Tensor], params: Mapping[str, Tensor], out: Sequence[Tensor | None]) -> tuple[Tensor, Tensor]:
        """Return u v and v^2 - u^2. Args: see `SpectralEquation.products`."""
        u, v = fields
        return torch.mul(u, v, out=out[0]), torch.mul(v, v, out=out[1]).addcmul_(u, u, value=-1)

    def products_adjoint(self, fields: Tensor, params: Mapping[str, Tensor], grad: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the adjoint of the products. Args: see `SpectralEquation.products_adjoint`."""
        (u, v), (a, b) = fields, grad
        out = torch.empty_like(fields)
        for place, other, own, sign in ((out[0], v, u, -2), (out[1], u, v, 2)):
            torch.mul(other, a, out=place).addcmul_(b, own, value=sign)
        return out, {}

    def analysis(self, k: Wavenumbers, params: Values) -> Table:
        """Return k_x^2 - k_y^2 for u v and k_x k_y for v^2 - u^2."""
        return ((k[0] ** 2 - k[1] ** 2, k[0] * k[1]),)

    def forcing(self, k: Wavenumbers, params: Values) -> Mapping[int, Mapping[tuple[int, ...], Tensor | complex]]:
        """Return curl f = -A n cos(n y): half of the amplitude in each of the modes +n and -n of y; the half spectrum stores +n."""
        if not self._is_forced(params):
            return {}
        n = self.forcing_mode
        fundamental = torch.where(k[1] > 0, k[1], torch.inf).amin((-2, -1), keepdim=True)  # 2 pi / L_y
        return {0: {(0, n): -0.5 * params["forcing_amplitude"] * n * fundamental}}

    def residual(self, partials: Mapping[str, Tensor], params: Values | None = None) -> Tensor:
        """Return w_t + (U + u) w_x + (V + v) w_y - nu (w_xx + w_yy) + drag w - curl f, zero on a solution.

        curl f is params["forcing"] at the points of the partials.
        Raises: ValueError for hyperviscosity, or a force given by its amplitude.
        """
        d, p = partials, {"forcing": 0.0, **self._for_residual(params, ("hyperviscosity", "forcing_amplitude"))}
        carried = (d["u"] + p["mean_u"]) * d["w_x"] + (d["v"] + p["mean_v"]) * d["w_y"]
        return d["w_t"] + carried - p["viscosity"] * d["w_lap"] + p["drag"] * d["w"] - p["forcing"]


@dataclass(frozen=True)
class NavierStokesVelocity(_NavierStokes):
    """Incompressible flow in two or three dimensions by its velocity, kept divergence-free by the Leray projection P.

        u_t = P [-(u . grad) u + f] + nu lap u - drag u - nu_h (-lap)^p u,   div u = 0;   f = (A sin(n 2 pi y / L_y), 0, 0)
        P u_hat = u_hat - k (k . u_hat) / k^2                                      Canuto et al. 2007, sec. 3.2
    The products are those of u_i u_j - u_d u_d delta_ij (d the last axis): the difference to u_i u_j is a pressure. State: `dimension` channels
    [m/s], mean flow included. Parameters as in the vorticity form; "forcing" is a field f [m/s^2], whose divergence is projected out.
    """

    dimension: int = 2

    name: ClassVar[str] = "navier-stokes-velocity"
    parameters: ClassVar[Mapping[str, str]] = {**_PARAMETERS, "forcing": "m/s^2"}
    needs: ClassVar[tuple[str, ...]] = ("u", "v", "u_t", "v_t", "u_x", "u_y", "v_x", "v_y", "u_lap", "v_lap", "p_x", "p_y")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dimension not in (2, 3):
            raise ValueError(f"NavierStokesVelocity: dimension must be 2 or 3, got {self.dimension}")

    @property
    def ndim(self) -> int:
        return self.dimension

    @property
    def channels(self) -> tuple[str, ...]:
        return ("velocity_x", "velocity_y", "velocity_z")[: self.dimension]

    @property
    def _pairs(self) -> list[tuple[int, int]]:
        """Components of the tensor: the diagonal without its last entry, which is zero, then the upper triangle."""
        d = self.dimension
        return [(i, i) for i in range(d - 1)] + [(i, j) for i in range(d) for j in range(i + 1, d)]

    def symbol(self, k: Wavenumbers, params: Values) -> tuple[Tensor]:
        """Return -nu k^2 - nu_h k^(2p) - drag [1/s]."""
        return (self._damping(k, params),)

    def synthesis(self, k: Wavenumbers, params: Values) -> None:
        """Return None: the fields are the velocity."""
        return None

    def constraint(self, k: Wavenumbers) -> Table:
        """Return the Leray projection."""
        return leray_table(k)

    def products(self, fields: Sequence[Tensor], params: Mapping[str, Tensor], out: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
        """Return the products u_i u_j, on the diagonal u_i^2 - u_d^2. Args: see `SpectralEquation.products`."""
        last = fields[-1]
        return tuple(
            torch.mul(fields[i] - last, fields[i] + last, out=place) if i == j else torch.mul(fields[i], fields[j], out=place)
            for (i, j), place in zip(self._pairs, out)
        )

    def products_adjoint(self, fields: Tensor, params: Mapping[str, Tensor], grad: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the adjoint of the products. Args: see `SpectralEquation.products_adjoint`."""
        out = torch.zeros_like(fields)
        for g, (i, j) in zip(grad, self._pairs):
            if i == j:
                out[i].addcmul_(g, fields[i], value=2)
                out[-1].addcmul_(g, fields[-1], value=-2)
            else:
                out[i].addcmul_(g, fields[j])
                out[j].addcmul_(g, fields[i])
        return out, {}

    def analysis(self, k: Wavenumbers, params: Values) -> Table:
        """Return -P_ci i k_j for the product u_i u_j, summed over both orders of a pair."""
        rows: list[list[Tensor]] = []
        for c in range(self.dimension):
            row = []
            for i, j in self._pairs:
                divergence = projected(c, i, k) * k[j]
                if i != j:
                    divergence = divergence + projected(c, j, k) * k[i]
                row.append(-1j * divergence)
            rows.append(row)
        return rows

    def forcing(self, k: Wavenumbers, params: Values) -> Mapping[int, Mapping[tuple[int, ...], Tensor | complex]]:
        """Return A sin(n y): mode +n of y has amplitude A / 2i. In three dimensions the half spectrum holds both signs of n."""
        if not self._is_forced(params):
            return {}
        n, half = self.forcing_mode, -0.5j * params["forcing_amplitude"]
        return {0: {(0, n): half} if self.dimension == 2 else {(0, n, 0): half, (0, -n, 0): -half}}

    def local(self, params: Values) -> Local:
        """Return the coefficients of the finite-volume schemes.

        Raises: ValueError for hyperviscosity, which they do not have.
        """
        hyper = params["hyperviscosity"]
        if isinstance(hyper, Tensor) or hyper != 0:
            raise ValueError("NavierStokesVelocity: hyperviscosity is for the spectral schemes; leave it 0 on a staggered grid")
        return Local(1.0, -params["drag"], params["viscosity"], 0.0, 0.0)

    def residual(self, partials: Mapping[str, Tensor], params: Values | None = None) -> Tensor:
        """Return both components of u_t + (u . grad) u + grad p - nu lap u + drag u - f in two dimensions; zero on a solution.

        f is params["forcing"], two fields.
        Raises: ValueError for hyperviscosity, a force given by its amplitude, or three dimensions.
        """
        if self.dimension != 2:
            raise ValueError(f"residual: expected the velocity form in two dimensions, got {self.dimension}")
        d, p = partials, self._for_residual(params, ("hyperviscosity", "forcing_amplitude"))
        forcing: Any = p.get("forcing", (0.0, 0.0))
        rows = []
        for c, name in enumerate(("u", "v")):
            carried = d["u"] * d[f"{name}_x"] + d["v"] * d[f"{name}_y"]
            damped = p["viscosity"] * d[f"{name}_lap"] - p["drag"] * d[name]
            rows.append(d[f"{name}_t"] + carried + d["p_x" if c == 0 else "p_y"] - damped - forcing[c])
        return torch.stack(rows)
