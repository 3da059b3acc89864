"""The metrics: closed forms on single modes, the paper's rules, and naive re-implementations."""

import math

import pytest
import torch

from eddygrad.evaluation import metrics as m

N = 16
X = 2 * math.pi * torch.arange(N, dtype=torch.float64) / N
TIGHT = {"rtol": 1e-12, "atol": 1e-13}


def line(*frames):
    """Frames of one sample and one channel: (1, T, 1, N)."""
    return torch.stack([torch.as_tensor(f, dtype=torch.float64).expand(N) for f in frames])[None, :, None]


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_error_over_time_in_closed_form_clipped_and_nan_counts_as_thirty():
    ref = line(2 * torch.sin(X), torch.sin(X), torch.zeros(N), torch.sin(X), torch.sin(X))
    u = line(2 * torch.sin(X), 0.0, 3.0, float("nan"), 1e9)
    # The scale is the maximum over the window, (2 sin pi/2)^2 = 4.
    expected = torch.tensor([[0.0, 0.5 / 4, 9 / 4, 30.0, 30.0]], dtype=torch.float64)
    torch.testing.assert_close(m.error_over_time(u, ref), expected, **TIGHT)
    torch.testing.assert_close(m.rellinf(u, ref), expected.mean(1), **TIGHT)
    inf = u.clone()
    inf[0, 1, 0, 3] = float("-inf")
    assert m.error_over_time(inf, ref)[0, 1] == 30


@pytest.mark.parametrize("ndim", [1, 2])
def test_errors_equal_loops(ndim):
    grid = (6, 5)[:ndim]
    u, ref = noise(2, 3, 4, 2, *grid), noise(3, 4, 2, *grid, seed=1)
    e, n, v, squared = (torch.zeros(2, 3, 4, dtype=torch.float64) for _ in range(4))
    for s in range(2):
        for b in range(3):
            for t in range(4):
                d, r = (u[s, b, t] - ref[b, t]).flatten(), ref[b, t]
                squared[s, b, t] = (d @ d) / d.numel()
                e[s, b, t] = squared[s, b, t] / ref[b].abs().max() ** 2
                n[s, b, t] = d.norm() / r.norm()
                spread = sum(((c - c.mean()) ** 2).sum() for c in r)
                v[s, b, t] = (d @ d / spread).sqrt()
    torch.testing.assert_close(m.error_over_time(u, ref, ndim), e, **TIGHT)
    torch.testing.assert_close(m.nrmse(u, ref, ndim), n, **TIGHT)
    torch.testing.assert_close(m.vrmse(u, ref, ndim), v, **TIGHT)
    torch.testing.assert_close(m.mse(u, ref, ndim), squared[..., 1:].mean(-1), **TIGHT)


def test_a_frame_that_is_lost_counts_as_thirty_times_the_largest_square():
    ref = torch.ones(1, 5, 1, 8)
    ref[0, 0, 0, 0] = 2.0
    for wrong in (float("nan"), float("inf"), 1e6):
        u = ref.clone()
        u[0, 4] = wrong
        assert m.mse(u, ref).item() == pytest.approx(30 * 4 / 4) and m.rellinf(u, ref).item() == pytest.approx(30 / 5)


def test_mean_offset_counts_in_nrmse_and_not_in_the_scale_of_vrmse():
    ref, u = line(10 + torch.sin(X)), line(11 + torch.sin(X))
    assert m.nrmse(u, ref).item() == pytest.approx(1 / math.sqrt(100.5), rel=1e-12)
    assert m.vrmse(u, ref).item() == pytest.approx(math.sqrt(2), rel=1e-12)


def test_correlation_of_shifted_modes_is_the_cosine():
    ref = line(*[torch.sin(2 * X)] * 4, 1.0)
    u = line(5 + 3 * torch.sin(2 * X + 0.7), -torch.sin(2 * X), torch.sin(3 * X), float("nan"), torch.sin(X))
    torch.testing.assert_close(m.correlation(u, ref), torch.tensor([[math.cos(0.7), -1, 0, 0, 0]], dtype=torch.float64), rtol=1e-12, atol=1e-12)
    a, b = noise(1, 3, 1, N), noise(1, 3, 1, N, seed=1)
    expected = torch.stack([torch.corrcoef(torch.stack([a[0, t, 0], b[0, t, 0]]))[0, 1] for t in range(3)])
    torch.testing.assert_close(m.correlation(a, b)[0], expected, **TIGHT)


def rho(text):
    """'+' above the threshold, '-' below."""
    return torch.tensor([0.9 if c == "+" else 0.1 for c in text])


@pytest.mark.parametrize(
    "text,expected",
    [
        ("+" * 20, 19),  # never lost: H
        ("+++" + "-" * 8 + "+" * 9, 3),  # eight in a row
        ("+++" + "-" * 7 + "+" * 10, 19),  # seven are not enough
        ("++" + "-" * 7 + "+" + "-" * 8 + "++", 10),  # a short run does not count towards the next
        ("+" * 17 + "---", 17),  # a run that reaches the end
        ("++" + "-" * 5 + "+" * 12 + "-", 19),
        ("-" * 20, 0),
        ("-" * 8 + "+" * 12, 0),
    ],
)
def test_correlation_time_looks_for_a_run_of_eight_or_one_that_reaches_the_end(text, expected):
    assert m.correlation_time(rho(text)).item() == expected
    stacked = torch.stack([rho(text), rho("+" * 20)])
    assert m.correlation_time(stacked).tolist() == [expected, 19]


def test_correlation_time_is_the_naive_search():
    values = torch.rand(200, 25, generator=torch.Generator().manual_seed(0)) * 0.5

    def naive(row):
        for t in range(25):
            rest = row[t:]
            run = next((i for i, ok in enumerate(rest >= 0.3) if ok), len(rest))
            if run >= 4 or (run and run == len(rest)):
                return t
        return 24

    found = m.correlation_time(values, threshold=0.3, run=4).tolist()
    assert found == [naive(row) for row in values] and 0 < sum(t < 24 for t in found) < 200
    first_below = [next((t for t, v in enumerate(row) if v < 0.3), 24) for row in values.tolist()]
    assert m.correlation_time(values, threshold=0.3, run=1).tolist() == first_below


def test_divergence_time_is_the_first_residual_above_the_limit():
    u = torch.zeros(4, 6, 1, N, dtype=torch.float64)
    following = torch.zeros(4, 5, 1, N, dtype=torch.float64)
    u[0, 3] = math.sqrt(501 / N)  # r_2 is over the limit
    u[1, 3] = math.sqrt(499 / N)
    u[2, 5, 0, 0] = float("nan")
    u[3, 1:] = 10.0
    assert m.divergence_time(u, following).tolist() == [2, 5, 4, 0]
    stable = u[1:2].expand(2, 6, 1, N)
    assert m.divergence_time(stable, stable[:, 1:]).tolist() == [5, 5]


def test_h1_weighs_a_mode_by_one_plus_its_wavenumber_squared():
    length = 7.0
    k = 2 * math.pi / length
    ref, u = line(torch.sin(2 * X)), line(torch.sin(2 * X) + 0.1 * torch.cos(5 * X))
    expected = 0.1 * math.sqrt((1 + (5 * k) ** 2) / (1 + (2 * k) ** 2))
    assert m.h1(u, ref, length).item() == pytest.approx(expected, rel=1e-12)
    lengths = torch.tensor([7.0, 14.0], dtype=torch.float64).reshape(-1, 1, 1)
    pair = m.h1(u.expand(2, -1, -1, -1), ref.expand(2, -1, -1, -1), lengths)
    assert pair[0].item() == pytest.approx(expected, rel=1e-12) and pair[1] < pair[0]
    # A narrow domain approaches the ratio of derivatives, a wide one that of values.
    assert m.h1(u, ref, 1e-4).item() == pytest.approx(0.25, rel=1e-6) and m.h1(u, ref, 1e4).item() == pytest.approx(0.1, rel=1e-5)


def test_bands_split_the_squared_error_without_rest():
    ref = line(2 * torch.sin(X))
    u = ref + line(0.1 * torch.sin(2 * X) + 0.2 * torch.cos(4 * X) + 0.3 * torch.cos(8 * X))
    # Eight modes: up to 2.67, up to 5.33, up to 8. The last cosine is the Nyquist mode, whose mean square is 1, not 1/2.
    expected = torch.tensor([0.1 / 2, 0.2 / 2, 0.3 * math.sqrt(2) / 2], dtype=torch.float64)
    torch.testing.assert_close(m.band_errors(u, ref)[0, 0], expected, **TIGHT)
    u, ref = noise(3, 2, 1, 15), noise(3, 2, 1, 15, seed=1)
    total = m.band_errors(u, ref, (0.0, 0.2, 0.5, 1.0)).square().sum(-1).sqrt()
    torch.testing.assert_close(total, m.nrmse(u, ref), **TIGHT)


def test_spectrum_error_is_the_decades_between_two_spectra():
    ref = noise(2, 3, 1, N)
    assert m.spectrum_error(ref, ref).abs().max() == 0
    torch.testing.assert_close(m.spectrum_error(10 * ref, ref), torch.full((2,), 2.0).double(), rtol=1e-8, atol=0)
    shifted = ref.roll(3, -1) + 5.0
    assert m.spectrum_error(shifted, ref).max() < 1e-10
    assert m.spectrum_error(torch.full_like(ref, float("nan")), ref).tolist() == [30.0, 30.0]
    assert m.spectrum_error(torch.full((2, 3, 1, N), 1e25) * ref.float(), ref.float()).tolist() == [30.0, 30.0]


def test_power_sums_to_the_mean_square():
    for n in (15, 16):
        u = noise(2, 3, 1, n)
        torch.testing.assert_close(m._power(u).sum(-1), u.square().mean(-1), **TIGHT)
