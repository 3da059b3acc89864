"""Physics-informed networks: problems, domains, conditions, point weights and comparisons of loss weightings."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eddygrad.pinn.conditions import Condition
    from eddygrad.pinn.domains import Annulus, Box, PolygonDomain, Region
    from eddygrad.pinn.partials import VORTICITY
    from eddygrad.pinn.point_weights import Causal, ResidualAttention, SelfAdaptive
    from eddygrad.pinn.points import Points
    from eddygrad.pinn.posed_problem import Problem
    from eddygrad.pinn.problem_settings import Network, Sampling
    from eddygrad.pinn.problems import PROBLEMS, problem
    from eddygrad.pinn.registry import register
    from eddygrad.pinn.solution import Solution
    from eddygrad.studies.weightings.study import compare

# Name -> the module that holds it, imported when the name is first used.
_HOME = {
    **dict.fromkeys(("Annulus", "Box", "PolygonDomain", "Region"), "pinn.domains"),
    **dict.fromkeys(("Causal", "ResidualAttention", "SelfAdaptive"), "pinn.point_weights"),
    **dict.fromkeys(("PROBLEMS", "problem"), "pinn.problems"),
    **dict.fromkeys(("Network", "Sampling"), "pinn.problem_settings"),
    "Condition": "pinn.conditions",
    "Points": "pinn.points",
    "Problem": "pinn.posed_problem",
    "Solution": "pinn.solution",
    "VORTICITY": "pinn.partials",
    "compare": "studies.weightings.study",
    "register": "pinn.registry",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"eddygrad.pinn has no {name!r}; it offers {', '.join(__all__)}")
    found = getattr(import_module(f"eddygrad.{_HOME[name]}"), name)
    globals()[name] = found
    return found


__all__ = [
    "PROBLEMS",
    "VORTICITY",
    "Annulus",
    "Box",
    "Causal",
    "Condition",
    "Network",
    "Points",
    "PolygonDomain",
    "Problem",
    "Region",
    "ResidualAttention",
    "Sampling",
    "SelfAdaptive",
    "Solution",
    "compare",
    "problem",
    "register",
]
