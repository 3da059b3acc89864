"""eddygrad: a differentiable flow solver in torch with neural correction.

    import eddygrad as eg

    coarse = eg.wrap(my_solver_step, dt=0.1)                                    # any program is a solver; array="numpy" for numpy
    data   = eg.open("runs.nc").split(val=0.1, test=0.2)                        # of frames .1 apart
    run    = eg.fit(eg.correct(coarse, eg.nets.ResNet(26, 8)), data, unroll="nog:4", seeds=16)
    run.test(baselines=["persistence", "coarse"]).report("report.html")

Names are imported when first used, so that `import eddygrad` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from eddygrad._version import __version__

if TYPE_CHECKING:
    from eddygrad import nets, presets
    from eddygrad.correctors.compose import Corrected, correct, predict, transition
    from eddygrad.correctors.features import Features, domain_size
    from eddygrad.datasets import recipes
    from eddygrad.datasets.dataset import Dataset, Split, open
    from eddygrad.datasets.generate import generate
    from eddygrad.datasets.manifest import validate
    from eddygrad.solver.equations.kuramoto_sivashinsky import KuramotoSivashinsky
    from eddygrad.solver.grid import Grid
    from eddygrad.solver.rollout import Window, always, every, first, never, repeat, trajectory, unroll
    from eddygrad.solver.schemes.etdrk import ETDRK
    from eddygrad.solver.step import Step, Stepper, wrap
    from eddygrad.studies.compare import Study, compare
    from eddygrad.studies.evaluate import Evaluation, Persistence, evaluate
    from eddygrad.studies.experiment import Recipe, Trained, fit
    from eddygrad.studies.space_time import space_time
    from eddygrad.studies.tested import Tested
    from eddygrad.training.objectives.unrolled import Unrolled, Unrolling

# Name -> where it lives; a module stands for itself. Kept beside the imports above by a test.
_HOME = {
    **dict.fromkeys(("Corrected", "correct", "predict", "transition"), "correctors.compose"),
    **dict.fromkeys(("Features", "domain_size"), "correctors.features"),
    **dict.fromkeys(("Dataset", "Split", "open"), "datasets.dataset"),
    **dict.fromkeys(("Window", "always", "every", "first", "never", "repeat", "trajectory", "unroll"), "solver.rollout"),
    **dict.fromkeys(("Step", "Stepper", "wrap"), "solver.step"),
    **dict.fromkeys(("Study", "compare"), "studies.compare"),
    **dict.fromkeys(("Evaluation", "Persistence", "evaluate"), "studies.evaluate"),
    **dict.fromkeys(("Recipe", "Trained", "fit"), "studies.experiment"),
    **dict.fromkeys(("Unrolled", "Unrolling"), "training.objectives.unrolled"),
    "ETDRK": "solver.schemes.etdrk",
    "Grid": "solver.grid",
    "KuramotoSivashinsky": "solver.equations.kuramoto_sivashinsky",
    "Tested": "studies.tested",
    "generate": "datasets.generate",
    "space_time": "studies.space_time",
    "validate": "datasets.manifest",
}
_MODULES = {"nets": "nets", "presets": "presets", "recipes": "datasets.recipes"}


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
    "Corrected",
    "Dataset",
    "Evaluation",
    "Features",
    "Grid",
    "KuramotoSivashinsky",
    "Persistence",
    "Recipe",
    "Split",
    "Step",
    "Stepper",
    "Study",
    "Tested",
    "Trained",
    "Unrolled",
    "Unrolling",
    "Window",
    "__version__",
    "always",
    "compare",
    "correct",
    "domain_size",
    "evaluate",
    "every",
    "first",
    "fit",
    "generate",
    "nets",
    "never",
    "open",
    "predict",
    "presets",
    "recipes",
    "repeat",
    "space_time",
    "trajectory",
    "transition",
    "unroll",
    "validate",
    "wrap",
]
