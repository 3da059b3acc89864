"""The recipe's facts against the paper's settings, re-implemented naively."""

import math

import numpy as np
import pytest
import torch

from eddygrad.datasets.recipes import kuramoto_sivashinsky as ks
from eddygrad.solver.unroll import repeat


def test_training_set_is_the_papers():
    recipe = ks.training()
    assert (recipe.samples, recipe.frames, recipe.warmup) == (36, 5000, 200)
    D = [8 * s for s in (0.9, 0.95, 1, 1.1, 1.2, 1.3) for _ in range(6)]
    assert torch.allclose(recipe.params["length"].flatten(), torch.tensor([2 * math.pi * d for d in D], dtype=torch.float64), rtol=1e-15)
    assert recipe.params["length"].shape == (36, 1, 1) and recipe.initial.dtype == torch.float64
    pairs = [(a, sign * b) for a, b in ((0.1, 0.1), (-0.2, 0.3), (0.3, 0.5)) for sign in (1, -1)]
    for sample, u in enumerate(recipe.initial):
        d, (a, b) = D[sample], pairs[sample % 6]
        for i in (0, 1, 17, 47):
            x = d * i / 48
            expected = math.cos(2 * math.pi * x) + a * math.cos(2 * math.pi * x / d) * (1 + b * math.sin(2 * math.pi * x / d))
            assert abs(u[0, i].item() - expected) < 1e-13
    assert set(recipe.kinds) == {"training"} and recipe.names[:7] == ("D/8=0.90",) * 6 + ("D/8=0.95",)


def test_test_set_is_the_papers():
    recipe = ks.testing(starts_per_domain=10, horizon=12)
    assert (recipe.samples, recipe.frames, recipe.warmup) == (40, 13, 400)
    assert [(g.name, g.kind) for g in recipe.groups] == [
        ("D/8=1.40", "extrapolation"),
        ("D/8=0.85", "extrapolation"),
        ("D/8=1.15", "interpolation"),
        ("D/8=0.93", "interpolation"),
    ]
    u, i = recipe.initial[:, 0], torch.arange(48, dtype=torch.float64)
    for sample, length in enumerate(recipe.params["length"].flatten().tolist()):
        D = length / (2 * math.pi)
        x = D * i / 48
        # Recover c and c s by least squares on the two shapes: the residual is zero only for the paper's formula.
        theta = 2 * math.pi * x / D
        shapes = torch.stack([torch.cos(theta), -torch.cos(theta) * torch.sin(theta)], 1)
        solution = torch.linalg.lstsq(shapes, (u[sample] - torch.cos(math.pi * x)).unsqueeze(1))
        c, cs = solution.solution.flatten().tolist()
        assert (shapes @ solution.solution + torch.cos(math.pi * x).unsqueeze(1) - u[sample].unsqueeze(1)).abs().max() < 1e-13
        assert abs(c) <= 0.1 and abs(cs / c) <= 2 + 1e-9
    assert torch.unique(u, dim=0).shape[0] == 40


def test_more_starts_and_other_kinds_keep_the_states():
    few, many = ks.testing(3), ks.testing(5)
    assert torch.equal(many.initial.reshape(4, 5, 1, 48)[:, :3], few.initial.reshape(4, 3, 1, 48))
    assert torch.equal(ks.testing(3, kind="interpolation").initial, few.initial[6:])
    assert not torch.equal(ks.testing(3, seed=1).initial, few.initial)
    with pytest.raises(ValueError, match="kind must be"):
        ks.testing(kind="other")  # type: ignore[arg-type]


def naive_frame(u, D, order, h, substeps):
    """Cox and Matthews with numpy in float64, coefficients by the mean over a circle of complex points."""
    m = np.arange(25)
    k = m / D
    z = h * (k**2 - k**4)
    circle = z[:, None] + np.exp(2j * np.pi * (np.arange(64) + 0.5) / 64)
    p1 = ((np.exp(circle) - 1) / circle).mean(1).real
    p2 = ((np.exp(circle) - 1 - circle) / circle**2).mean(1).real
    g = -0.5j * k
    g[24] = 0  # an odd derivative has no Nyquist mode
    for _ in range(substeps):
        v, n0 = np.fft.rfft(u), g * np.fft.rfft(u**2)
        a = np.exp(z) * v + h * p1 * n0
        if order == 2:
            ua = np.fft.irfft(a, 48)
            a = a + h * p2 * (g * np.fft.rfft(ua**2) - n0)
        u = np.fft.irfft(a, 48)
    return u


@pytest.mark.parametrize("name,order,h,substeps", [("reference", 2, 0.5, 2), ("coarse", 1, 0.5, 2), ("half_step", 1, 0.25, 4)])
def test_steppers_are_the_papers_schemes(name, order, h, substeps):
    stepper = getattr(ks, name)()
    u = ks.testing(1).generate(progress=False, store_dtype=torch.float64).frames_at(0, 0)[None]
    D = 8 * 1.4
    out = stepper.at({"length": 2 * math.pi * D}, u)(u)
    expected = naive_frame(u[0, 0].numpy(), D, order, h, substeps)
    # Round-off of two FFT-based evaluations, |u| up to 4.
    assert np.abs(out[0, 0].numpy() - expected).max() < 1e-12


def test_data_are_the_reference_run_from_frame_400():
    recipe = ks.testing(2, horizon=3)
    data = recipe.generate(progress=False, store_dtype=torch.float64)
    step = recipe.stepper.at(recipe.params, recipe.initial)
    u = repeat(step, recipe.initial, 400)
    for t in range(4):
        assert torch.equal(data.all()[:, t], u)
        u = repeat(step, u, 1)
    assert [s["kind"] for s in data.attrs["sets"]] == ["extrapolation", "extrapolation", "interpolation", "interpolation"]
    assert data.attrs["sets"][0] == {"name": "D/8=1.40", "kind": "extrapolation", "params": {"length": 2 * math.pi * 8 * 1.4}, "samples": 2}


def test_training_data_have_the_attractors_size_and_conserve_the_mean():
    recipe = ks.training(frames=300)
    data = recipe.generate(progress=False, store_dtype=torch.float64)
    u = data.all()
    assert (u.mean(-1) - recipe.initial.mean(-1, keepdim=True)).abs().max() < 1e-9  # round-off of 1000 substeps
    assert 1.2 < u.std().item() < 1.5  # rms 1.31 on the test domains
    assert ks.training(frames=300).generate(progress=False).all().dtype == torch.float32
