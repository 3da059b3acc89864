"""One composed step for every learning task: u+ = base + scale * network(features(seen, params))."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from eddygrad.correctors.features import Features
from eddygrad.correctors.seeded_network import SeedNetwork
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.step import FreeMask, Observer, Params, Step, Stepper, StepperInfo, free_values, info_of

Mode = Literal["parallel", "sequential", "no-bypass"]
Base = Literal["none", "state", "solver"]
Sees = Literal["state", "solver"]
Cuts = Literal["solver", "network"] | None
_SETTINGS = ("base", "sees", "scale", "dt", "features")
_OPTIONAL = ("channels", "cut", "domain")


class Corrected(nn.Module):
    """A stepper with a network that corrects or replaces a solver; made by `correct`, `predict` and `transition`.

        s = solver(u);   u+ = base + scale * network(features(seen, params)),   base in {none, u, s},  seen in {u, s}
        List et al. 2024; docs/papers.md has the table of learning tasks
    If boundaries or bodies fix values of the state, m is the mask of the free ones (`FreeMask`), and the network changes only these:

        u+ = base + m * scale * network(..),   base = (1 - m) * (s, or u without a solver) for "none"
    `state_dict` holds the network's weights.

    Args:
        network:  ([S,] B, C_in, *grid) -> ([S,] B, C_out, *grid).
        solver:   a stepper; None for a prediction.
        base:     state to which the network's output is added.
        sees:     state that the network gets as input.
        scale:    factor of the network's output.
        dt:       time between returned states [s].
        channels: indices of the state's channels that the network writes; None writes all.
        features: input channels of the network in addition to the state.
        cut:      "solver" back-propagates through the network only, "network" through the solver only, None through both. If the network gets the
                  solver's result as input (sequential, no bypass), "solver" would leave no gradient between steps, which is NOG; it is refused.
        domain:   knows which values are fixed; None uses the solver. All values are free if neither has a `free` method.
    Raises: ValueError if base or sees need a missing solver, for another option or a dt that is not positive, if cut="solver" would be NOG, or if the
            domain has no `free`.
    """

    domain: FreeMask | None

    def __init__(
        self,
        network: nn.Module,
        solver: Stepper | None,
        *,
        base: Base,
        sees: Sees,
        scale: float,
        dt: float,
        channels: Sequence[int] | None = None,
        features: Features | None = None,
        cut: Cuts = None,
        domain: FreeMask | None = None,
    ) -> None:
        super().__init__()
        if solver is None and "solver" in (base, sees):
            raise ValueError("Corrected: base or sees is 'solver', but there is no solver; pass one, or use predict(network)")
        if base not in ("none", "state", "solver") or sees not in ("state", "solver") or cut not in (None, "solver", "network"):
            raise ValueError(
                f"Corrected: base none|state|solver, sees state|solver, cut None|solver|network expected, got {base!r}, {sees!r}, {cut!r}"
            )
        if cut == "solver" and sees == "solver" and base != "state":
            raise ValueError(
                "Corrected: cut='solver' leaves no gradient between steps where the network sees the solver's result: train with 'nog:M'"
            )
        if not dt > 0:
            raise ValueError(f"Corrected: dt must be positive, got {dt}")
        if domain is not None and not isinstance(domain, FreeMask):
            raise ValueError(f"Corrected: expected a domain with .free(params, like), e.g. a staggered solver, got {type(domain).__name__}")
        self.network, self.solver = network, solver
        object.__setattr__(self, "domain", domain)  # stored outside nn.Module, so that a module's parameters are not registered here
        self.base: Base = base
        self.sees: Sees = sees
        self.cut: Cuts = cut
        self.scale, self.dt = float(scale), float(dt)
        self.channels = None if channels is None else tuple(channels)
        self.features = features or Features()

    @property
    def differentiable(self) -> bool:
        """Whether a gradient with respect to the input state exists (WIG needs it)."""
        return self.solver is None or self.solver.differentiable or self.cut == "solver"

    @property
    def seeds(self) -> tuple[int, ...] | None:
        """Seeds of a stacked network, None for a single one."""
        return self.network.seeds if isinstance(self.network, SeedNetwork) and self.network.stacked else None

    def info(self) -> StepperInfo:
        """Return the facts of the solver; for a prediction, those of its domain: grid, steadiness, boundary conditions and bodies."""
        if self.solver is not None:
            return replace(info_of(self.solver), substep=None, stays_inside=False, seeds=self.seeds)
        known = StepperInfo() if self.domain is None else info_of(self.domain)
        return StepperInfo(known.grid, steady=known.steady, seeds=self.seeds, sides=known.sides, bodies=known.bodies)

    def with_network(self, network: nn.Module) -> Corrected:
        """Return the same composition with another network, e.g. one entry of a stack."""
        settings: dict[str, Any] = {name: getattr(self, name) for name in (*_SETTINGS, *_OPTIONAL)}
        return Corrected(network, self.solver, **settings)

    def sized(self, channels: int, ndim: int) -> Corrected:
        """Return this stepper with a network whose omitted sizes are those of the data; the stepper itself where none was omitted.

        Args:
            channels: channels of a state.
            ndim:     number of grid axes.
        """
        if not isinstance(self.network, SeedNetwork):
            return self
        written = channels if self.channels is None else len(self.channels)
        network = self.network.sized(channels + self.features.extra_channels, written, ndim)
        return self if network is self.network else self.with_network(network)

    def with_seeds(self, seeds: Sequence[int]) -> Corrected:
        """Return this stepper with a stack of networks, each drawn from its seed.

        Raises: ValueError for a network that cannot be drawn from seeds, or whose weights are no fresh draw: they would be lost.
        """
        network = self.network
        if not isinstance(network, SeedNetwork):
            raise ValueError(f"fit: {type(network).__name__} cannot be stacked over seeds; use eg.nets.stack(factory), or seeds=None")
        fresh, state = network.with_seeds(network.seeds).state_dict(), network.state_dict()
        if not all(torch.equal(fresh[name].reshape(value.shape), value) for name, value in state.items()):
            raise ValueError(
                f"fit: seeds={list(seeds)} draws new networks, but this one has learned: its weights are not those of its seeds "
                f"{list(network.seeds)}; pass seeds=None to go on from these weights"
            )
        return self.with_network(network.with_seeds(tuple(seeds)))

    def first_seed(self) -> Corrected:
        """Return this stepper with the first network of its stack; the stepper itself where it has a single network."""
        network = self.network
        return self.with_network(network.entry(0)) if isinstance(network, SeedNetwork) and network.stacked else self

    def free(self, params: Params, like: Tensor) -> Tensor | None:
        """Return the mask of free values (1, C, *grid), see `FreeMask`; None if no value is fixed."""
        return free_values(self.solver if self.domain is None else self.domain, params, like)

    def at(self, params: Params, like: Tensor, observe: Observer | None = None) -> Step:
        """Bind to physical parameters, see `Stepper.at`.

        Args:
            params:  physical parameters of solver and features.
            like:    an example state (B, C, *grid).
            observe: receives what the solver reports.
        """
        solve = None if self.solver is None else self.solver.at(params, like, observe)
        ndim = like.ndim - 2
        written = None if self.channels is None else torch.tensor(self.channels, device=like.device)
        free = self.free(params, like)
        learnable = free if free is None or written is None else free[:, written]

        def step(u: Tensor, k: int = 0) -> Tensor:
            s = u if solve is None else solve(u.detach() if self.cut == "solver" else u, k)
            seen = s if self.sees == "solver" else u
            learned = self.scale * self.network(self.features(seen.detach() if self.cut == "network" else seen, params, ndim))
            if learnable is not None:
                learned = learnable * learned
            if self.base != "none":
                base = s if self.base == "solver" else u
            elif free is not None:
                base = (1 - free) * s
            elif written is None:
                return learned
            else:
                base = torch.zeros_like(u)
            return base + learned if written is None else _add_channels(base, learned, written, ndim)

        return step

    def extra_repr(self) -> str:
        """Return all settings except the network, for `repr`."""
        given = [name for name in _OPTIONAL if getattr(self, name) is not None]
        return ", ".join(f"{name}={getattr(self, name)}" for name in ("solver", *_SETTINGS, *given))

    def __repr__(self) -> str:
        return f"Corrected({self.network!r}, {self.extra_repr()})"


def _add_channels(base: Tensor, learned: Tensor, written: Tensor, ndim: int) -> Tensor:
    base = base.expand(*learned.shape[: -ndim - 1], *base.shape[-ndim - 1 :])
    return base.index_add(base.ndim - ndim - 1, written, learned.to(base.dtype))


def correct(
    solver: Stepper,
    network: nn.Module,
    mode: Mode = "sequential",
    *,
    scale: float | None = None,
    features: Features | None = None,
    channels: Sequence[int] | None = None,
    cut: Cuts = None,
    domain: FreeMask | None = None,
) -> Corrected:
    """Correct a solver by a network, with s = solver(u).

        parallel:    u+ = s + h f(u)      h: the solver's substep, or dt if it has none (`StepperInfo.substep`)       Kuramoto-Sivashinsky
        sequential:  u+ = s + f(s)                                                                                 Kolmogorov flow, wake
        no-bypass:   u+ = f(s)                                                                                        List et al. 2024
    Args:
        solver:   a stepper; `wrap` makes one from a function.
        network:  f: ([S,] B, C_in, *grid) -> ([S,] B, C_out, *grid).
        mode:     "parallel", "sequential" or "no-bypass".
        scale:    replaces the factor of f (h or 1).
        features: input channels of the network in addition to the state.
        channels: indices of the state's channels that the network writes; None writes all.
        cut:      "solver" or "network" back-propagates through the other only, see `Corrected`.
        domain:   knows which values are fixed; None uses the solver.
    Raises: ValueError for another mode, if `solver` is no stepper, and as `Corrected`.
    """
    if not isinstance(solver, Stepper):
        raise ValueError(f"correct: expected a stepper (.dt, .differentiable, .at), got {type(solver).__name__}; turn a function into one by wrap")
    substep = info_of(solver).substep
    factors = {"parallel": float(solver.dt if substep is None else substep), "sequential": 1.0, "no-bypass": 1.0}
    if mode not in factors:
        raise ValueError(f"correct: mode must be one of {sorted(factors)}, got {mode!r}")
    base: Base = "none" if mode == "no-bypass" else "solver"
    sees: Sees = "state" if mode == "parallel" else "solver"
    dt, factor = solver.dt, factors[mode] if scale is None else scale
    return Corrected(network, solver, base=base, sees=sees, scale=factor, dt=dt, channels=channels, features=features, cut=cut, domain=domain)


def predict(
    network: nn.Module,
    dt: float,
    *,
    residual: bool = False,
    features: Features | None = None,
    channels: Sequence[int] | None = None,
    domain: FreeMask | None = None,
) -> Corrected:
    """Replace the solver by a network: u+ = f(u), or u+ = u + f(u) if `residual`.

    Args:
        network:  f: ([S,] B, C_in, *grid) -> ([S,] B, C_out, *grid).
        dt:       time between returned states [s].
        residual: add the output to the state.
        features: input channels of the network in addition to the state.
        channels: indices of the state's channels that the network writes; None writes all.
        domain:   knows which values are fixed, e.g. a staggered solver; these keep their values.
    Raises: ValueError as `Corrected`.
    """
    base: Base = "state" if residual else "none"
    return Corrected(network, None, base=base, sees="state", scale=1.0, dt=dt, features=features, channels=channels, domain=domain)


def transition(reference: ETDRK, network: nn.Module, fraction: float, *, features: Features | None = None) -> Corrected:
    """Interpolate between prediction (fraction 0) and the reference solver (fraction 1).

        P = reference over `fraction` of the frame in two substeps;   u+ = P + (1 - fraction) f(P)                     List et al. 2024
    Args:
        reference: the reference solver.
        network:   f.
        fraction:  part of the frame that the reference solves.
        features:  input channels of the network in addition to the state.
    Raises: ValueError unless 0 <= fraction <= 1.
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f"transition: fraction must be within 0 and 1, got {fraction}")
    if fraction == 0:
        return predict(network, reference.dt, residual=True, features=features)
    part = replace(reference, dt=fraction * reference.dt, substeps=2)
    return Corrected(network, part, base="solver", sees="solver", scale=1 - fraction, dt=reference.dt, features=features)
