"""Masks: how they are drawn, and what they remove."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import n_positions as expected_positions
from reference import removed_range, target_series
from scipy import stats
from tensors import padded, seeded

from fei_sklearn.masking import (
    MASK_KINDS,
    apply_mask,
    check_mask_ratio,
    n_positions,
    sample_mask,
    spectra,
)

KINDS = ["discrete", "continuous", "temporal"]
kinds = pytest.mark.parametrize("kind", KINDS)
few_examples = settings(deadline=None, max_examples=30, derandomize=True)
lengths_of_series = st.integers(2, 70)
ratios = st.tuples(st.floats(0, 0.99), st.floats(0, 0.99)).map(lambda pair: tuple(sorted(pair)))
#: A test of randomness fails below this; the seeds are fixed, so each passes or fails for good.
SIGNIFICANCE = 1e-3


def draw(n: int, n_positions: int, ratio: tuple[float, float], kind: str, seed: int) -> np.ndarray:
    """Return masks of `n` series, as an array (n, n_positions)."""
    mask = sample_mask(n, n_positions, ratio, kind, generator=seeded(seed))
    assert mask.shape == (n, 1, n_positions)
    return mask[:, 0].numpy()


def assert_uniform(values: np.ndarray, n_values: int) -> None:
    """Test by chi-square that integers are uniform on 0 .. n_values - 1."""
    counts = np.bincount(values, minlength=n_values)
    assert len(counts) == n_values
    assert stats.chisquare(counts).pvalue > SIGNIFICANCE


def band_starts(removed: np.ndarray) -> np.ndarray:
    """Return the first removed position of each mask, which must remove one band."""
    starts = removed.argmax(axis=1)
    ends = starts + removed.sum(axis=1)
    position = np.arange(removed.shape[1])
    band = (position >= starts[:, None]) & (position < ends[:, None])
    np.testing.assert_array_equal(removed, band)
    return starts


# How masks are drawn


def test_mask_kinds() -> None:
    assert list(MASK_KINDS) == KINDS


@pytest.mark.parametrize(("kind", "odd", "even"), [("discrete", 4, 5), ("temporal", 7, 8)])
def test_n_positions(kind: str, odd: int, even: int) -> None:
    assert n_positions(7, kind) == odd
    assert n_positions(8, kind) == even
    assert n_positions(torch.tensor([7, 8]), kind).tolist() == [odd, even]


@kinds
@given(n_positions=st.integers(2, 60), ratio=ratios, n_targets=st.integers(1, 3))
@few_examples
def test_masks_are_float_zeros_and_ones_within_the_range(
    kind: str, n_positions: int, ratio: tuple[float, float], n_targets: int
) -> None:
    mask = sample_mask(5, n_positions, ratio, kind, n_targets=n_targets, generator=seeded(0))
    assert mask.shape == (5, n_targets, n_positions)
    assert mask.dtype == torch.float32
    assert set(mask.unique().tolist()) <= {0.0, 1.0}
    fewest, most = removed_range(ratio, n_positions)
    n_removed = (1 - mask).sum(dim=-1)
    assert fewest <= n_removed.min()
    assert n_removed.max() <= most


@kinds
@pytest.mark.parametrize("n_positions", [19, 90])
def test_removed_count_is_uniform_on_the_inclusive_range(kind: str, n_positions: int) -> None:
    fewest, most = removed_range((0.1, 0.7), n_positions)
    masks = draw(20_000, n_positions, (0.1, 0.7), kind, seed=1)
    n_removed = (1 - masks).sum(axis=1).astype(int)
    assert n_removed.min() == fewest
    assert n_removed.max() == most
    assert_uniform(n_removed - fewest, most - fewest + 1)


@kinds
def test_count_of_the_default_ratio_starts_at_nothing(kind: str) -> None:
    mask = sample_mask(2_000, 10, kind=kind, generator=seeded(2))
    assert set((1 - mask).sum(dim=-1).unique().tolist()) == set(range(8))


@kinds
@given(n_positions=st.integers(2, 120), ratio=st.floats(0, 0.99))
@few_examples
def test_fixed_ratio_removes_pythons_round(kind: str, n_positions: int, ratio: float) -> None:
    mask = draw(4, n_positions, (ratio, ratio), kind, seed=3)
    n_removed = (1 - mask).sum(axis=1)
    assert (n_removed == round(ratio * n_positions)).all()


@kinds
@pytest.mark.parametrize(("size", "expected"), [(5, 2), (7, 4), (9, 4), (11, 6)])
def test_halves_round_to_even_as_in_python(kind: str, size: int, expected: int) -> None:
    mask = draw(3, size, (0.5, 0.5), kind, seed=4)
    n_removed = (1 - mask).sum(axis=1)
    assert (n_removed == expected).all()


@kinds
def test_a_number_means_from_zero(kind: str) -> None:
    one = sample_mask(50, 20, 0.4, kind, generator=seeded(5))
    pair = sample_mask(50, 20, (0.0, 0.4), kind, generator=seeded(5))
    assert torch.equal(one, pair)


@pytest.mark.parametrize("kind", ["discrete", "temporal"])
def test_every_position_is_removed_equally_often(kind: str) -> None:
    mask = draw(20_000, 23, (0.0, 0.7), kind, seed=6)
    # one removed position per mask: positions of one mask are not independent
    removes_any = mask.min(axis=1) == 0
    removed = mask[removes_any] == 0
    noise = np.random.default_rng(6).random(removed.shape)
    chosen = np.where(removed, noise, -1.0).argmax(axis=1)
    assert_uniform(chosen, 23)


@pytest.mark.parametrize("kind", ["discrete", "temporal"])
def test_every_subset_is_equally_likely(kind: str) -> None:
    mask = draw(20_000, 6, (0.5, 0.5), kind, seed=7)
    codes = (1 - mask).astype(int) @ 2 ** np.arange(6)
    _, counts = np.unique(codes, return_counts=True)
    assert len(counts) == 20  # 3 of 6
    assert stats.chisquare(counts).pvalue > SIGNIFICANCE


def test_continuous_band_starts_anywhere_it_fits() -> None:
    removed = draw(20_000, 20, (0.25, 0.25), "continuous", seed=8) == 0
    assert_uniform(band_starts(removed), 20 - 5 + 1)


def test_continuous_band_of_random_width_starts_anywhere_it_fits() -> None:
    removed = draw(30_000, 12, (0.1, 0.7), "continuous", seed=9) == 0
    widths = removed.sum(axis=1)
    starts = band_starts(removed)
    for width in np.unique(widths):
        assert_uniform(starts[widths == width], 12 - width + 1)


@kinds
def test_targets_and_samples_have_masks_of_their_own(kind: str) -> None:
    mask = sample_mask(200, 30, (0.3, 0.5), kind, n_targets=2, generator=seeded(10))
    targets_differ = (mask[:, 0] != mask[:, 1]).any(dim=1)
    samples_differ = (mask[1:, 0] != mask[:-1, 0]).any(dim=1)
    assert targets_differ.float().mean() > 0.9
    assert samples_differ.float().mean() > 0.9


@kinds
def test_same_seed_same_masks_and_a_generator_moves_on(kind: str) -> None:
    generator = seeded(11)
    first = sample_mask(20, 30, kind=kind, generator=generator)
    second = sample_mask(20, 30, kind=kind, generator=generator)
    again = sample_mask(20, 30, kind=kind, generator=seeded(11))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


@kinds
def test_global_random_state_is_untouched(kind: str) -> None:
    before = torch.get_rng_state()
    sample_mask(5, 9, kind=kind, generator=seeded(0))
    sample_mask(2, torch.tensor([4, 9]), kind=kind, generator=seeded(0))
    assert torch.equal(before, torch.get_rng_state())


@kinds
def test_unequal_lengths_remove_within_their_own_positions(kind: str) -> None:
    sizes = torch.tensor([2, 9, 30]).repeat(500)
    mask = sample_mask(len(sizes), sizes, (0.2, 0.7), kind, n_targets=2, generator=seeded(12))
    assert mask.shape == (1500, 2, 30)
    for size in (2, 9, 30):
        rows = mask[sizes == size]
        assert (rows[:, :, size:] == 1).all()
        n_removed = (1 - rows).sum(dim=-1).long().flatten().numpy()
        fewest, most = removed_range((0.2, 0.7), size)
        assert_uniform(n_removed - fewest, most - fewest + 1)
        ever_removed = (rows[:, :, :size] == 0).any(dim=0)
        assert ever_removed.all()


def test_unequal_lengths_remove_every_position_of_a_row_equally_often() -> None:
    sizes = torch.tensor([7, 19]).repeat(10_000)
    mask = sample_mask(len(sizes), sizes, (0.3, 0.3), generator=seeded(13))[:, 0]
    n_removed = (1 - mask[sizes == 7, :7]).sum(dim=0).numpy()
    assert n_removed.sum() / 10_000 == round(0.3 * 7) == 2
    expected = 20_000 / 7
    statistic = ((n_removed - expected) ** 2).sum() / expected
    # without replacement: the statistic is 5/6 of a chi-square with 6 degrees of freedom
    assert stats.chi2.sf(statistic / (5 / 6), 6) > SIGNIFICANCE


@pytest.mark.parametrize(
    "ratio", [(0.0, 1.0), (-0.1, 0.5), (0.6, 0.2), 1.5, -0.25, (0.0, float("nan"))]
)
@kinds
def test_invalid_ratio_is_named(kind: str, ratio: float | tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="mask_ratio") as raised:
        sample_mask(3, 10, ratio, kind)
    assert str(ratio) in str(raised.value)


def test_invalid_kind_is_named() -> None:
    with pytest.raises(ValueError, match="'spectral'"):
        sample_mask(3, 10, kind="spectral")


@pytest.mark.parametrize("ratio", ["half", (0.1,), (0.1, 0.2, 0.3), None])
def test_ratios_of_another_type_are_named(ratio: object) -> None:
    with pytest.raises(TypeError, match="mask_ratio must be a number or a pair") as raised:
        check_mask_ratio(ratio)
    assert repr(ratio) in str(raised.value)


# What masks remove


def panel(n: int, n_channels: int, n_timepoints: int, seed: int = 0) -> torch.Tensor:
    """Return float64 series that are neither centred nor periodic."""
    generator = np.random.default_rng(seed)
    noise = generator.normal(size=(n, n_channels, n_timepoints))
    trend = np.linspace(0, 3, n_timepoints)
    return torch.from_numpy(noise + trend)


@kinds
@given(n_timepoints=lengths_of_series, n_channels=st.integers(1, 3))
@few_examples
def test_mask_of_ones_is_the_identity(kind: str, n_timepoints: int, n_channels: int) -> None:
    series = panel(2, n_channels, n_timepoints)
    mask = torch.ones(2, 3, expected_positions(n_timepoints, kind))
    for dtype, tolerance in ((torch.float32, 1e-6), (torch.float64, 1e-12)):
        x = series.to(dtype)
        same = apply_mask(x, mask, kind)
        assert same.shape == (2, 3, n_channels, n_timepoints)
        assert same.dtype == dtype
        error = (same - x[:, None]).abs().max()
        assert error <= tolerance * series.abs().max()


@kinds
@given(n_timepoints=lengths_of_series, seed=st.integers(0, 10))
@few_examples
def test_all_channels_lose_what_numpy_removes(kind: str, n_timepoints: int, seed: int) -> None:
    x = panel(3, 2, n_timepoints, seed)
    n_bins = expected_positions(n_timepoints, kind)
    mask = sample_mask(3, n_bins, (0.3, 0.7), kind, n_targets=2, generator=seeded(seed))
    targets = apply_mask(x, mask, kind).numpy()
    for i in range(3):
        for j in range(2):
            expected = target_series(x[i].numpy(), mask[i, j].numpy(), kind)
            np.testing.assert_allclose(targets[i, j], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("n_timepoints", [2, 3, 20, 21])
def test_the_spectrum_of_a_target_lacks_the_removed_bins_alone(n_timepoints: int) -> None:
    x = panel(4, 2, n_timepoints)
    mask = sample_mask(4, n_timepoints // 2 + 1, (0.4, 0.6), generator=seeded(14))
    spectrum = torch.fft.rfft(apply_mask(x, mask))[:, 0]
    expected = torch.fft.rfft(x) * mask
    assert (1 - mask).sum() > 0
    torch.testing.assert_close(spectrum, expected, rtol=1e-10, atol=1e-10)


def test_masking_twice_is_masking_once() -> None:
    mask = sample_mask(3, 17, (0.5, 0.5), generator=seeded(15))
    once = apply_mask(panel(3, 1, 33), mask)
    twice = apply_mask(once[:, 0], mask)
    torch.testing.assert_close(twice, once, rtol=1e-10, atol=1e-12)


def test_the_input_does_not_change() -> None:
    x = panel(2, 1, 9)
    before = x.clone()
    targets = apply_mask(x, torch.zeros(2, 1, 5))
    assert targets.abs().max() < 1e-12
    assert torch.equal(x, before)


@kinds
@given(lengths=st.lists(st.integers(2, 40), min_size=1, max_size=5))
@few_examples
def test_unequal_lengths_equal_single_rows(kind: str, lengths: list[int]) -> None:
    n = len(lengths)
    longest = max(lengths)
    time_points = torch.tensor(lengths)
    x = padded(panel(n, 2, longest), time_points)
    sizes = n_positions(time_points, kind)
    mask = sample_mask(n, sizes, (0.2, 0.7), kind, n_targets=2, generator=seeded(16))
    targets = apply_mask(x, mask, kind, lengths=time_points)
    assert targets.shape == (n, 2, 2, longest)
    for i, length in enumerate(lengths):
        series = x[i : i + 1, :, :length]
        own_mask = mask[i : i + 1, :, : sizes[i]]
        alone = apply_mask(series, own_mask, kind)[0]
        torch.testing.assert_close(targets[i, :, :, :length], alone, rtol=1e-10, atol=1e-12)
        assert (targets[i, :, :, length:] == 0).all()


@pytest.mark.parametrize("kind", ["discrete", "continuous"])
def test_padding_wider_than_the_longest_series_stays_zero(kind: str) -> None:
    lengths = torch.tensor([5, 8])
    x = padded(panel(2, 1, 12), lengths)
    mask = sample_mask(2, n_positions(lengths, kind), (0.5, 0.5), kind, generator=seeded(17))
    targets = apply_mask(x, mask, kind, lengths=lengths)
    assert (targets[:, :, :, 8:] == 0).all()
    narrow = apply_mask(x[:, :, :8], mask, kind, lengths=lengths)
    torch.testing.assert_close(targets[:, :, :, :8], narrow)


@kinds
def test_padding_has_no_influence(kind: str) -> None:
    lengths = torch.tensor([6, 11])
    x = panel(2, 2, 11)
    mask = sample_mask(2, n_positions(lengths, kind), (0.5, 0.5), kind, generator=seeded(18))
    of_dirty = apply_mask(x, mask, kind, lengths=lengths)
    of_clean = apply_mask(padded(x, lengths), mask, kind, lengths=lengths)
    torch.testing.assert_close(of_dirty, of_clean, rtol=0, atol=0)


# Series of unequal length on a device


@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=5), seed=st.integers(0, 10))
@few_examples
def test_spectra_equal_numpys(lengths: list[int], seed: int) -> None:
    own_lengths = torch.tensor(lengths)
    x = panel(len(lengths), 2, max(lengths) + 1, seed)
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-12)):
        actual = spectra(x.to(dtype), own_lengths).numpy()
        for row, length in enumerate(lengths):
            expected = np.fft.fft(x[row, :, :length].numpy())
            largest = np.abs(expected).max()
            np.testing.assert_allclose(actual[row, :, :length], expected, atol=tolerance * largest)
            assert (actual[row, :, length:] == 0).all()


def test_the_phase_of_long_series_keeps_its_digits() -> None:
    x = panel(1, 1, 20_001).float()
    expected = np.fft.fft(x.double().numpy())
    error = np.abs(spectra(x, torch.tensor([20_001])).numpy() - expected).max()
    assert error < 1e-5 * np.abs(expected).max()


@kinds
def test_a_given_width_is_the_largest_size(kind: str) -> None:
    sizes = n_positions(torch.tensor([9, 6, 12]), kind)
    width = int(sizes.max())
    drawn = sample_mask(3, sizes, kind=kind, width=width, generator=seeded(19))
    assert torch.equal(drawn, sample_mask(3, sizes, kind=kind, generator=seeded(19)))
    wider = sample_mask(3, sizes, kind=kind, width=width + 2, generator=seeded(19))
    assert wider.shape == (3, 1, width + 2)
    assert (wider[:, :, width:] == 1).all()
