"""Laws of initial states and of the generators that draw them."""

import math

import pytest
import torch

from eddygrad.runtime.randomness import generator
from eddygrad.solver.grid import Grid
from eddygrad.solver.initial import draw_test_amplitudes, kuramoto_sivashinsky_test, kuramoto_sivashinsky_training, random_fourier
from eddygrad.solver.transforms import resample


@pytest.mark.parametrize("D", [7.2, 8.0, 10.4])
def test_training_state_is_the_papers_formula(D):
    u = kuramoto_sivashinsky_training(D, -0.2, 0.3)
    for i in range(48):
        x = D * i / 48
        expected = math.cos(2 * math.pi * x) - 0.2 * math.cos(2 * math.pi * x / D) * (1 + 0.3 * math.sin(2 * math.pi * x / D))
        assert abs(u[0, i].item() - expected) < 1e-13  # round-off of the arguments, up to 2 pi 10 eps


def test_test_state_is_the_papers_formula():
    D, c, s = 8 * 1.4, 0.07, -1.3
    u = kuramoto_sivashinsky_test(D, c, s)
    for i in range(48):
        x = D * i / 48
        expected = math.cos(math.pi * x) + c * math.cos(2 * math.pi * x / D) * (1 - s * math.sin(2 * math.pi * x / D))
        assert abs(u[0, i].item() - expected) < 1e-13


def test_test_amplitudes_fill_their_ranges():
    drawn = torch.tensor([draw_test_amplitudes(generator(0, "amplitudes", i)) for i in range(2000)], dtype=torch.float64)
    limit = torch.tensor([0.1, 2.0], dtype=torch.float64)
    assert (drawn.abs() <= limit).all()
    assert (drawn.abs().amax(0) > 0.98 * limit).all()
    # Mean 0 and variance limit^2 / 3 of a uniform law: five standard errors of 2000 draws.
    assert (drawn.mean(0).abs() < 5 * limit / math.sqrt(3 * 2000)).all()
    assert torch.allclose(drawn.var(0), limit**2 / 3, rtol=5 * math.sqrt(0.8 / 2000))


def test_generator_is_a_function_and_purposes_do_not_collide():
    def first(*args):
        return torch.randint(2**62, (1,), generator=generator(*args)).item()

    assert first(3, "batch", 5) == first(3, "batch", 5)
    keys = [(s, p, i) for s in range(6) for p in ("batch", "split", "initial") for i in range(20)]
    assert len({first(*k) for k in keys}) == len(keys)
    state = torch.get_rng_state()
    first(1, "batch")
    assert torch.equal(state, torch.get_rng_state())  # the global generator is not touched
    with pytest.raises(ValueError, match="seed must be an integer"):
        generator(1.5, "batch")


@pytest.mark.parametrize("shape,finer", [((16,), (48,)), ((12, 16), (24, 18)), ((9, 10, 12), (16, 12, 20))])
def test_random_fourier_is_one_function_on_every_grid(shape, finer):
    coarse = random_fourier(Grid(shape), 2, channels=2, bandlimit=4, decay=1.5, rms=0.7, seed=3)
    fine = random_fourier(Grid(finer), 2, channels=2, bandlimit=4, decay=1.5, rms=0.7, seed=3)
    # The band is resolved on both, so resampling is exact up to round-off.
    assert (resample(coarse, Grid(shape), finer) - fine).abs().max() < 1e-12
    axes = tuple(range(2, coarse.ndim))
    assert coarse.mean(axes).abs().max() < 1e-13
    assert ((coarse**2).mean(axes).sqrt() - 0.7).abs().max() < 1e-13


def test_random_fourier_stays_in_its_band_and_decays():
    samples = 2500
    u = random_fourier(Grid((64,)), samples, bandlimit=6, decay=2.0, seed=1)
    power = torch.fft.rfft(u[:, 0], norm="forward").abs().square()
    assert power[:, 7:].max() < 1e-28 and power[:, 0].max() < 1e-28
    # |h_m|^2 m^4 / |h_1|^2 is the ratio of two exponential variables: the log is logistic, median 0, density there 1/4. Five standard errors.
    ratio = (power[:, 2:7] * torch.arange(2, 7) ** 4 / power[:, 1:2]).log()
    assert ratio.median(0).values.abs().max() < 5 * 2 / samples**0.5


def test_random_fourier_sample_does_not_depend_on_its_batch():
    grid = Grid((8, 8))
    together = random_fourier(grid, 4, bandlimit=3, seed=2)
    assert torch.equal(together[3:], random_fourier(grid, 1, bandlimit=3, seed=2, start=3))
    assert not torch.equal(together[0], together[1])
    with pytest.raises(ValueError, match="below N/2"):
        random_fourier(grid, 1, bandlimit=4)
