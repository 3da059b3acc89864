"""eddygrad: a differentiable flow solver in torch with neural correction.

    import eddygrad as eg

    coarse = eg.wrap(my_solver_step, dt=0.1)                                    # any program is a solver; array="numpy" for numpy
    data   = eg.open("runs.nc").split(val=0.1, test=0.2)                        # of frames .1 apart
    run    = eg.fit(eg.correct(coarse, eg.nets.ResNet(26, 8)), data, unroll="nog:4", seeds=16)
    run.test(baselines=["persistence", "coarse"]).report("report.html")

    problem  = eg.pinn.Problem(lambda d, p: {"pde": d.u_lap - f(d.x, d.y)}, domain=eg.pinn.Box(0, 1), boundary=exact)
    solution = eg.fit(problem, weighting="inverse-dirichlet-held", steps=10_000)

Names are imported when first used, so that `import eddygrad` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from eddygrad._version import __version__

if TYPE_CHECKING:
    from eddygrad import nets, pinn, presets, weightings
    from eddygrad.correctors.compose import Corrected, correct, predict, transition
    from eddygrad.correctors.features import Features, Geometry, domain_size
    from eddygrad.datasets import recipes
    from eddygrad.datasets.dataset import Dataset, Split, open
    from eddygrad.datasets.forces import WithForces
    from eddygrad.datasets.generate import generate
    from eddygrad.datasets.kept_fields import Downsampled
    from eddygrad.datasets.manifest import validate
    from eddygrad.evaluation.baselines import Persistence
    from eddygrad.evaluation.evaluate import Evaluation, evaluate
    from eddygrad.fitting.recipe import TrainingRecipe
    from eddygrad.fitting.test_result import TestResult
    from eddygrad.fitting.trained import Trained
    from eddygrad.plotting.space_time import space_time
    from eddygrad.solver.equations.active_turbulence import ActiveTurbulenceVelocity, ActiveTurbulenceVorticity
    from eddygrad.solver.equations.burgers import Burgers
    from eddygrad.solver.equations.kuramoto_sivashinsky import KuramotoSivashinsky
    from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity, NavierStokesVorticity
    from eddygrad.solver.equations.smagorinsky import SmagorinskyVelocity
    from eddygrad.solver.grid import Grid
    from eddygrad.solver.linear_solvers import Krylov
    from eddygrad.solver.schemes.adaptive import AdaptiveSubsteps
    from eddygrad.solver.schemes.piso import PISO
    from eddygrad.solver.schemes.projection import Projection
    from eddygrad.solver.schemes.spectral.etdrk import ETDRK
    from eddygrad.solver.schemes.spectral.imex import CrankNicolsonRK
    from eddygrad.solver.schemes.spectral.integrating_factor import IntegratingFactorRK4
    from eddygrad.solver.schemes.splitting import Splitting
    from eddygrad.solver.sensitivity import gradient_growth
    from eddygrad.solver.staggered.bodies import Cylinder, Polygon, aerofoil, rectangle
    from eddygrad.solver.staggered.boundary_conditions import FreeSlip, Inflow, Outflow, Periodic, Wall
    from eddygrad.solver.step import Step, Stepper
    from eddygrad.solver.unroll import Window, always, every, first, never, repeat, trajectory, unroll
    from eddygrad.solver.wrap import wrap
    from eddygrad.studies.shared.study import Study
    from eddygrad.studies.unrolling.study import compare
    from eddygrad.train_or_solve import fit
    from eddygrad.training.objectives.unrolled import Unrolled, Unrolling
    from eddygrad.training.refinement import Refinement
    from eddygrad.training.weighting.by_gradients import InverseDirichlet

# Name -> where it lives; a module stands for itself. Kept beside the imports above by a test.
_HOME = {
    **dict.fromkeys(("Corrected", "correct", "predict", "transition"), "correctors.compose"),
    **dict.fromkeys(("Features", "Geometry", "domain_size"), "correctors.features"),
    **dict.fromkeys(("Dataset", "Split", "open"), "datasets.dataset"),
    **dict.fromkeys(("Evaluation", "evaluate"), "evaluation.evaluate"),
    **dict.fromkeys(("ActiveTurbulenceVelocity", "ActiveTurbulenceVorticity"), "solver.equations.active_turbulence"),
    **dict.fromkeys(("NavierStokesVelocity", "NavierStokesVorticity"), "solver.equations.navier_stokes"),
    **dict.fromkeys(("Window", "always", "every", "first", "never", "repeat", "trajectory", "unroll"), "solver.unroll"),
    **dict.fromkeys(("Cylinder", "Polygon", "aerofoil", "rectangle"), "solver.staggered.bodies"),
    **dict.fromkeys(("FreeSlip", "Inflow", "Outflow", "Periodic", "Wall"), "solver.staggered.boundary_conditions"),
    **dict.fromkeys(("Step", "Stepper"), "solver.step"),
    "Study": "studies.shared.study",
    "compare": "studies.unrolling.study",
    **dict.fromkeys(("Unrolled", "Unrolling"), "training.objectives.unrolled"),
    "AdaptiveSubsteps": "solver.schemes.adaptive",
    "Burgers": "solver.equations.burgers",
    "CrankNicolsonRK": "solver.schemes.spectral.imex",
    "Downsampled": "datasets.kept_fields",
    "ETDRK": "solver.schemes.spectral.etdrk",
    "Grid": "solver.grid",
    "IntegratingFactorRK4": "solver.schemes.spectral.integrating_factor",
    "InverseDirichlet": "training.weighting.by_gradients",
    "Krylov": "solver.linear_solvers",
    "KuramotoSivashinsky": "solver.equations.kuramoto_sivashinsky",
    "PISO": "solver.schemes.piso",
    "Projection": "solver.schemes.projection",
    "Refinement": "training.refinement",
    "SmagorinskyVelocity": "solver.equations.smagorinsky",
    "Splitting": "solver.schemes.splitting",
    "Persistence": "evaluation.baselines",
    "TestResult": "fitting.test_result",
    "Trained": "fitting.trained",
    "TrainingRecipe": "fitting.recipe",
    "WithForces": "datasets.forces",
    "fit": "train_or_solve",
    "generate": "datasets.generate",
    "gradient_growth": "solver.sensitivity",
    "space_time": "plotting.space_time",
    "validate": "datasets.manifest",
    "wrap": "solver.wrap",
}
_MODULES = {"nets": "nets", "pinn": "pinn", "presets": "presets", "recipes": "datasets.recipes", "weightings": "weightings"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        found: Any = import_module(f"eddygrad.{_MODULES[name]}")
    elif name in _HOME:
        found = getattr(import_module(f"eddygrad.{_HOME[name]}"), name)
    else:
        raise AttributeError(f"eddygrad has no {name!r}; it offers {', '.join(__all__)}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
    "ETDRK",
    "PISO",
    "ActiveTurbulenceVelocity",
    "ActiveTurbulenceVorticity",
    "AdaptiveSubsteps",
    "Burgers",
    "Corrected",
    "CrankNicolsonRK",
    "Cylinder",
    "Dataset",
    "Downsampled",
    "Evaluation",
    "Features",
    "FreeSlip",
    "Geometry",
    "Grid",
    "Inflow",
    "IntegratingFactorRK4",
    "InverseDirichlet",
    "Krylov",
    "KuramotoSivashinsky",
    "NavierStokesVelocity",
    "NavierStokesVorticity",
    "Outflow",
    "Periodic",
    "Persistence",
    "Polygon",
    "Projection",
    "Refinement",
    "SmagorinskyVelocity",
    "Split",
    "Splitting",
    "Step",
    "Stepper",
    "Study",
    "TestResult",
    "Trained",
    "TrainingRecipe",
    "Unrolled",
    "Unrolling",
    "Wall",
    "Window",
    "WithForces",
    "__version__",
    "aerofoil",
    "always",
    "compare",
    "correct",
    "domain_size",
    "evaluate",
    "every",
    "first",
    "fit",
    "generate",
    "gradient_growth",
    "nets",
    "never",
    "open",
    "pinn",
    "predict",
    "presets",
    "recipes",
    "rectangle",
    "repeat",
    "space_time",
    "trajectory",
    "transition",
    "unroll",
    "validate",
    "weightings",
    "wrap",
]
