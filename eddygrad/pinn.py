"""Physics-informed networks by short names: `eg.pinn.Problem`, domains, `eg.pinn.compare`."""

from __future__ import annotations

from eddygrad.studies.pinn.conditions import Condition
from eddygrad.studies.pinn.posed import Problem
from eddygrad.studies.pinn.registered import register
from eddygrad.studies.pinn.solution import Solution
from eddygrad.studies.pinn.study import compare
from eddygrad.studies.problems import PROBLEMS, problem
from eddygrad.training.objectives.domains import Annulus, Box, Polygon
from eddygrad.training.objectives.partials import VORTICITY
from eddygrad.training.objectives.pointwise import Causal, ResidualAttention, SelfAdaptive
from eddygrad.training.objectives.residual import Points

__all__ = [
    "PROBLEMS",
    "VORTICITY",
    "Annulus",
    "Box",
    "Causal",
    "Condition",
    "Points",
    "Polygon",
    "Problem",
    "ResidualAttention",
    "SelfAdaptive",
    "Solution",
    "compare",
    "problem",
    "register",
]
