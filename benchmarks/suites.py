"""Suites of `run.py`: all jobs with the case in which each is compared and its role."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

HERE = Path(__file__).resolve().parent
Role = Literal["ours", "variant", "peer", "limit"]


@dataclass(frozen=True)
class Job:
    """One process. In each case, results are divided by those of the job with the role "ours"; a variant is another setting of ours."""

    case: str
    role: Role
    label: str
    command: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.case} | {self.label}"


class Programs:
    """Makes jobs of scripts, each with the interpreter of the environment that it needs."""

    def __init__(self, peers: Path, threads: int) -> None:
        self.peers, self.threads = peers, threads

    def job(self, case: str, role: Role, label: str, script: str, options: str, threads: int | None = None) -> Job:
        interpreter = sys.executable
        if script.startswith("peers/"):
            jax = any(name in script for name in ("exponax", "jax"))
            interpreter = str(self.peers / ("jax" if jax else "torch") / "bin" / "python")
        return Job(case, role, label, (interpreter, str(HERE / script), *options.split(), "--threads", str(threads or self.threads)))


def ks_step(programs: Programs) -> list[Job]:
    """Kuramoto-Sivashinsky, N = 48, float32: ETDRK2 at batch 1 and 64, ETD1 at batch 1."""
    jobs = []
    for batch in (1, 64):
        case, size = f"step ETDRK2 N=48 batch {batch}", f"--batch {batch}"
        ours, exponax, phiflow = "kuramoto_sivashinsky_step.py", "peers/ks_exponax.py", "peers/ks_phiflow.py"
        jobs += [
            programs.job(case, "ours", "eddygrad repeat", ours, size),
            programs.job(case, "peer", "exponax repeat", exponax, size),
            programs.job(case, "peer", "exponax in Fourier space", exponax, f"{size} --mode fourier"),
            programs.job(case, "variant", "eddygrad repeat, one thread", ours, size, threads=1),
            programs.job(case, "variant", "eddygrad plain step", ours, f"{size} --mode call"),
            programs.job(case, "peer", "exponax plain step", exponax, f"{size} --mode call"),
            programs.job(case, "variant", "eddygrad repeat, FFTs", ours, f"{size} --realisation spectral"),
            programs.job(case, "peer", "PhiFlow eager", phiflow, size),
            programs.job(case, "peer", "PhiFlow jitted", phiflow, f"{size} --jit"),
            programs.job(case, "limit", "limit: matrix products alone", "limits.py", f"step-products {size}"),
        ]
        if batch > 1:
            per_sample = f"{size} --lengths per-sample"
            jobs += [
                programs.job(case, "variant", "eddygrad repeat, lengths per sample", ours, per_sample),
                programs.job(case, "variant", "eddygrad plain step, lengths per sample", ours, f"{per_sample} --mode call"),
            ]
    case = "step ETD1 N=48 batch 1"
    return jobs + [
        programs.job(case, "ours", "eddygrad repeat", ours, "--order 1"),
        programs.job(case, "peer", "exponax repeat", exponax, "--order 1"),
        programs.job(case, "peer", "PhiFlow eager", phiflow, "--order 1"),
        programs.job(case, "limit", "limit: matrix products alone", "limits.py", "step-products --order 1"),
    ]


def ks_train(programs: Programs) -> list[Job]:
    """One training update of the paper's case, in seconds per update and model: a single model, and 8 stacked seeds."""
    jobs = []
    for grad in ("wig", "nog"):
        case, ours, way = f"update {grad.upper()} (26,8) m=3 batch 16", "training_update.py", f"--grad {grad}"
        # As on the command line, a single small network trains with one thread. The peers run with one and with all threads; the faster one counts.
        phiflow, exponax = "peers/ks_train_phiflow.py", "peers/ks_train_exponax.py"
        jobs += [
            programs.job(case, "ours", "eddygrad, one thread", ours, way, threads=1),
            programs.job(case, "peer", "PhiFlow + stock torch network", phiflow, way),
            programs.job(case, "peer", "PhiFlow + stock network, one thread", phiflow, way, threads=1),
            programs.job(case, "peer", "exponax + equinox jitted", exponax, way),
            programs.job(case, "peer", "exponax + equinox, one thread", exponax, way, threads=1),
            programs.job(case, "variant", "eddygrad, every core", ours, way),
            programs.job(case, "variant", "eddygrad, one thread, lengths per sample", ours, f"{way} --lengths per-sample", threads=1),
            programs.job(case, "limit", "limit: network's products, one thread", "limits.py", f"update-products {way}", threads=1),
            programs.job(case, "limit", "limit: peak rate of one thread", "limits.py", f"update-peak {way}", threads=1),
        ]
        stacked = f"{case}, per model of 8 stacked seeds"
        jobs += [
            programs.job(stacked, "ours", "eddygrad, 8 seeds", ours, f"{way} --seeds 8"),
            programs.job(stacked, "variant", "eddygrad, 8 seeds, one thread", ours, f"{way} --seeds 8", threads=1),
            programs.job(stacked, "variant", "eddygrad, 8 seeds, lengths per sample", ours, f"{way} --seeds 8 --lengths per-sample"),
            programs.job(stacked, "peer", "PhiFlow + stock torch network", phiflow, way),
            programs.job(stacked, "peer", "exponax + equinox jitted", exponax, way),
            programs.job(stacked, "limit", "limit: network's products alone", "limits.py", f"update-products {way} --seeds 8"),
        ]
    return jobs


FLOW_SIZES = ((64, 1), (64, 8), (256, 1), (256, 8), (512, 1), (512, 8))
SCHEMES = {"rk4cn": "RK4-CN", "etdrk2": "ETDRK2", "etdrk4": "ETDRK4"}
# Label, script, options. exponax has no implicit-explicit scheme; the others have no exponential scheme.
_RK4CN_PEERS = (("torch-cfd", "peers/ns_torchcfd.py", ""), ("jax-cfd", "peers/ns_jaxcfd.py", ""))
_ETDRK_PEERS = (("exponax repeat", "peers/ns_exponax.py", ""), ("exponax in Fourier space", "peers/ns_exponax.py", "--mode fourier"))


def ns_step(programs: Programs) -> list[Job]:
    """Two-dimensional Kolmogorov flow, float32: three schemes at six sizes."""
    jobs = []
    for scheme, name in SCHEMES.items():
        for n, batch in FLOW_SIZES:
            case, size = f"step {name} {n}^2 batch {batch}", f"--n {n} --batch {batch} --scheme {scheme}"
            peers = _RK4CN_PEERS if scheme == "rk4cn" else _ETDRK_PEERS
            ours = "navier_stokes_step.py"
            jobs.append(programs.job(case, "ours", "eddygrad repeat", ours, size))
            jobs += [programs.job(case, "peer", label, script, f"{size} {way}") for label, script, way in peers]
            if n == 64:  # a second thread slows some rows down; the summary takes the faster number of threads
                jobs.append(programs.job(case, "variant", "eddygrad repeat, one thread", ours, size, threads=1))
                jobs += [programs.job(case, "peer", f"{label}, one thread", script, f"{size} {way}", threads=1) for label, script, way in peers]
            jobs.append(programs.job(case, "variant", "eddygrad plain step", ours, f"{size} --mode call"))
            if scheme == "rk4cn":
                jobs.append(programs.job(case, "variant", "eddygrad repeat, freed memory returned", ours, f"{size} --freed-memory return"))
            jobs.append(programs.job(case, "limit", "limit: transforms, least traffic", "limits.py", f"flow-stage {size}"))
    return jobs


def ns_gradient(programs: Programs) -> list[Job]:
    """Gradients through K steps of the same flow, 128^2 and batch 4: time per step and extra memory."""
    jobs = []
    for scheme, name in SCHEMES.items():
        for k in (8, 32):
            case, way = f"gradient {name} 128^2 batch 4 K={k}", f"--scheme {scheme} --k {k}"
            ours, jax = "navier_stokes_gradient.py", "peers/ns_gradient_jax.py"
            peers = [("torch-cfd", "peers/ns_gradient_torchcfd.py"), ("jax-cfd", jax)] if scheme == "rk4cn" else [("exponax", jax)]
            jobs.append(programs.job(case, "ours", "eddygrad keep all", ours, way))
            jobs += [programs.job(case, "peer", label, script, way) for label, script in peers]
            jobs.append(programs.job(case, "variant", "eddygrad keep sqrt", ours, f"{way} --keep sqrt"))
            jobs += [programs.job(case, "peer", f"{label} checkpointed", script, f"{way} --checkpoint") for label, script in peers]
        case, way = f"gradient {name} 128^2 batch 4 K=512", f"--scheme {scheme} --k 512"
        jobs.append(programs.job(case, "ours", "eddygrad keep sqrt", ours, f"{way} --keep sqrt"))
        jobs.append(programs.job(case, "variant", "eddygrad keep all", ours, way))
    return jobs


def staggered(programs: Programs) -> list[Job]:
    """Finite volumes, float32: a wake against PhiFlow, a periodic flow against jax-cfd and torch-cfd; a step, and a gradient through four steps."""
    ours, phiflow, jobs = "staggered_step.py", "peers/wake_phiflow.py", []
    for n in (128, 256):
        for grad, what in ((0, "step"), (4, "gradient through 4")):
            case, size = f"wake {what} {n} x {n // 2}", f"--n {n} --grad {grad}"
            like, better = f"{size} --scheme semi-lagrangian", f"{size} --scheme upwind3 --order 3"
            jobs.append(programs.job(case, "ours", "eddygrad semi-Lagrangian", ours, like))
            jobs.append(programs.job(case, "variant", "eddygrad semi-Lagrangian, one thread", ours, like, threads=1))
            jobs.append(programs.job(case, "variant", "eddygrad upwind3 RK3", ours, better))
            jobs.append(programs.job(case, "variant", "eddygrad upwind3 RK3, one thread", ours, better, threads=1))
            jobs.append(programs.job(case, "peer", "PhiFlow jitted", phiflow, f"{size} --jit"))
            if not grad:
                jobs.append(programs.job(case, "peer", "PhiFlow eager", phiflow, size))
        case = f"wake step {n} x {n // 2}"
        jobs.append(programs.job(case, "variant", "eddygrad semi-Lagrangian, batch 8", ours, f"--n {n} --scheme semi-lagrangian --batch 8"))
        jobs.append(programs.job(case, "limit", "limit: two solves, least traffic", "limits.py", f"wake --n {n}"))
    for grad, what in ((0, "step"), (4, "gradient through 4")):
        for scheme in ("van-leer", "central"):
            case, size = f"periodic {what} {scheme} 256^2", f"--n 256 --scheme {scheme} --grad {grad}"
            jobs.append(programs.job(case, "ours", "eddygrad, compiled", ours, f"--case periodic {size} --compiled"))
            jobs.append(programs.job(case, "variant", "eddygrad", ours, f"--case periodic {size}"))
            jobs.append(programs.job(case, "peer", "jax-cfd", "peers/faces_jaxcfd.py", size))
            jobs.append(programs.job(case, "peer", "torch-cfd", "peers/faces_torchcfd.py", size))
    return jobs


def pinn(programs: Programs) -> list[Job]:
    """Iterations of physics-informed networks, float32: an update of the Poisson problem, and the gradient of the active-turbulence residual."""
    ours, deepxde, jobs = "poisson_update.py", "peers/poisson_deepxde.py", []

    def both(case: str, role: Role, label: str, script: str, options: str) -> None:
        """Add a job with all cores and one with a single thread; the summary takes the faster one."""
        jobs.append(programs.job(case, role, label, script, options))
        jobs.append(programs.job(case, "variant" if role == "ours" else role, f"{label}, one thread", script, options, threads=1))

    nested, kept = ("nested autograd", ours, "--way nested"), ("DeepXDE, freed memory kept", deepxde, "--freed-memory keep")
    case = "Poisson k=6 iteration"
    both(case, "ours", "eddygrad, uniform", ours, "")
    both(case, "variant", "eddygrad, inverse-Dirichlet", ours, "--weighting inverse-dirichlet")
    both(case, "variant", "eddygrad, uniform, compiled", ours, "--compiled")
    both(case, "peer", *nested)
    both(case, "peer", "DeepXDE", deepxde, "")
    both(case, "peer", *kept)
    both(case, "peer", "DeepXDE, forward mode", deepxde, "--autodiff forward")
    jobs.append(programs.job(case, "variant", "eddygrad, uniform, freed memory returned", ours, "--freed-memory return"))
    jobs.append(programs.job(case, "peer", "nested autograd, freed memory returned", ours, "--way nested --freed-memory return"))
    both(case, "limit", "limit: our products alone", "pinn_limits.py", "products poisson")
    both(case, "limit", "limit: operations at peak rate", "pinn_limits.py", "peak poisson")
    stacked, seeds = f"{case}, per model of 5 stacked seeds", "--seeds 5"
    both(stacked, "ours", "eddygrad, uniform", ours, seeds)
    both(stacked, "variant", "eddygrad, inverse-Dirichlet", ours, f"{seeds} --weighting inverse-dirichlet")
    both(stacked, "variant", "eddygrad, uniform, compiled", ours, f"{seeds} --compiled")
    both(stacked, "peer", *nested)
    both(stacked, "peer", *kept)
    both(stacked, "limit", "limit: our products alone", "pinn_limits.py", f"products poisson {seeds}")
    for batch in (1000, 4000):
        case, size, ours = f"turbulence residual batch {batch}", f"--batch {batch}", "turbulence_residual.py"
        both(case, "ours", "eddygrad", ours, size)
        both(case, "variant", "eddygrad, compiled", ours, f"{size} --compiled")
        both(case, "peer", "nested autograd", ours, f"{size} --way nested --gradients 1")
        if batch > 1000:  # all points at once take some 22 GB
            both(case, "peer", "nested autograd, 1000 at a time", ours, f"{size} --way nested --gradients 1 --together 1000")
        jobs.append(programs.job(case, "variant", "eddygrad, freed memory returned", ours, f"{size} --freed-memory return"))
        both(case, "limit", "limit: our products alone", "pinn_limits.py", f"products residual {size}")
        both(case, "limit", "limit: operations at peak rate", "pinn_limits.py", f"peak residual {size}")
    return jobs


SUITES = {"staggered": staggered, "ks-step": ks_step, "ks-train": ks_train, "ns-step": ns_step, "ns-gradient": ns_gradient, "pinn": pinn}
