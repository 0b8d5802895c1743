"""The peers' losses and views, against values computed by hand and by NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.interpolate import PchipInterpolator
from torch import Tensor

from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.objectives import RIVALS, objective_class
from fei_sklearn.objectives.rivals import augmentations, infots, simmtm, tfc, timedrl, timesurl
from fei_sklearn.objectives.rivals.contrast import similarities, two_views
from fei_sklearn.objectives.rivals.crops import crop_twice
from fei_sklearn.objectives.rivals.hierarchy import hierarchical_contrast
from fei_sklearn.objectives.rivals.rival import Rival

rivals = pytest.mark.parametrize("name", RIVALS)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tensor(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def build(
    name: str, width: int = 16, n_channels: int = 2, n_timepoints: int = 64, **options: object
) -> Rival:
    """An objective in float64 on an encoder of stride 1."""
    generator = seeded(0)

    def backbone(n: int, stride: int = 1) -> FEIEncoder:
        return FEIEncoder(n, width, stride, generator=generator)

    chosen = objective_class(name)
    encoder = chosen.build_encoder(backbone, n_channels, n_timepoints, generator)
    features = width * chosen.n_backbones
    shape = {"n_channels": n_channels, "n_timepoints": n_timepoints}
    return chosen(encoder, width=features, generator=generator, **shape, **options).double()


# All of them


@rivals
def test_the_loss_trains_all_that_is_to_be_trained(name: str) -> None:
    objective = build(name)
    losses = objective(noise(6, 2, 64), None, generator=seeded(1))
    assert all(value.ndim == 0 and value.isfinite() for value in losses)
    assert objective.monitor in losses._fields
    losses.loss.backward()
    unused = {n for n, p in objective.named_parameters() if p.requires_grad and p.grad is None}
    assert unused == set()
    assert sum(p.grad.abs().sum() for p in objective.encoder.parameters()) > 0


@rivals
def test_randomness_is_the_generators_alone(name: str) -> None:
    objective, x = build(name).eval(), noise(6, 2, 64)
    before = torch.get_rng_state()
    first, again, other = (objective(x, generator=seeded(s)).loss.item() for s in (1, 1, 2))
    assert first == again != other
    build(name)
    assert torch.equal(before, torch.get_rng_state())


@rivals
def test_a_series_alone_has_a_finite_loss(name: str) -> None:
    losses = build(name)(noise(1, 2, 64), None, generator=seeded(1))
    assert all(value.isfinite() for value in losses)


@pytest.mark.parametrize(
    ("name", "n_heads"),
    [
        ("ts2vec", 0),
        ("timedrl", 70_288),
        ("tfc", 198_400),
        ("timesurl", 265_218),
        ("simmtm", 144_948),
        ("infots", 7),
    ],
)
def test_number_of_parameters_beside_the_encoder(name: str, n_heads: int) -> None:
    objective = build(name, width=256, n_channels=1, n_timepoints=178)
    everything = sum(p.numel() for p in objective.parameters())
    assert everything - sum(p.numel() for p in objective.encoder.parameters()) == n_heads


@pytest.mark.parametrize("name", ["timedrl", "infots"])
def test_series_of_unequal_length_are_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' needs series of one length, got lengths from"):
        build(name)(noise(2, 2, 64), torch.tensor([64, 40]), generator=seeded(0))


@pytest.mark.parametrize("name", ["ts2vec", "timesurl", "tfc", "simmtm"])
def test_padding_takes_no_part_in_the_loss(name: str) -> None:
    lengths = torch.tensor([64, 40, 51, 33])
    x = noise(4, 2, 64) * (torch.arange(64) < lengths[:, None, None])
    junk = torch.where(torch.arange(64) < lengths[:, None, None], x, 1e3)
    seen = [build(name)(v, lengths, generator=seeded(1)).loss.item() for v in (x, junk)]
    if name in ("ts2vec", "timesurl"):  # crops never touch it
        assert seen[0] == seen[1]
    else:
        assert math.isclose(*seen, rel_tol=1e-9)


@pytest.mark.parametrize("name", ["ts2vec", "timedrl", "tfc", "timesurl", "infots"])
def test_foreign_encoders_are_refused_in_a_sentence(name: str) -> None:
    chosen = objective_class(name)
    shape = {"n_channels": 1, "n_timepoints": 32}
    with pytest.raises(ValueError, match="package's own encoder, got Conv1d: give `encoder` as"):
        encoder = chosen.build_encoder(
            lambda n, stride=2: torch.nn.Conv1d(n, 8, 3), **shape, generator=None
        )
        chosen(encoder, width=8, **shape)


# Contrast


def test_two_views_are_the_sum_over_all_candidates_but_oneself() -> None:
    z1, z2, others = noise(3, 4), noise(3, 4, seed=1), noise(5, 4, seed=2)
    candidates = torch.cat([z1, z2, others]).numpy()
    expected = []
    for i in range(6):
        products = candidates @ candidates[i]
        rest = np.delete(products, i)
        expected.append(np.log(np.exp(rest).sum()) - products[(i + 3) % 6])
    actual = two_views(z1, z2, others).numpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


def test_similarities_never_overflow_half_precision() -> None:
    wide = torch.full((2, 64), 100.0, dtype=torch.float16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        products = similarities(wide, wide)
    assert products.dtype == torch.float32
    assert (products == 640_000).all()
    with pytest.raises(ValueError, match="similarity must be 'dot' or 'cosine', got 'l2'"):
        similarities(wide, wide, "l2")


# TS2Vec


FOUR = torch.eye(4, dtype=torch.float64).reshape(2, 2, 4)
ONE_WIDE = tensor([[1, 0], [0, 2]])[..., None], tensor([[1, 1], [0, 1]])[..., None]


@pytest.mark.parametrize(
    ("z1", "z2", "across_series", "across_time", "hierarchy"),
    [
        (FOUR, FOUR, 0.5514447139, 0.5514447139, 0.3356085485),
        (*ONE_WIDE, 0.9965702372, 0.9201138514, 0.7762301741),
    ],
    ids=["unit-vectors", "one-wide"],
)
def test_hierarchical_contrast(
    z1: Tensor, z2: Tensor, across_series: float, across_time: float, hierarchy: float
) -> None:
    swapped = two_views(z1.transpose(0, 1), z2.transpose(0, 1)).mean()
    assert math.isclose(float(swapped), across_series, abs_tol=1e-9)
    assert math.isclose(float(two_views(z1, z2).mean()), across_time, abs_tol=1e-9)
    assert math.isclose(float(hierarchical_contrast(z1, z2)), hierarchy, abs_tol=1e-9)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((2, 2), 0.8239592165), ((2, 3), 0.9516656224), ((1, 4), 0.5074204063)],
)
def test_hierarchical_contrast_of_nothing_counts_candidates(
    shape: tuple[int, int], expected: float
) -> None:
    zeros = torch.zeros(*shape, 3, dtype=torch.float64)
    assert math.isclose(float(hierarchical_contrast(zeros, zeros)), expected, abs_tol=1e-9)


def test_hierarchical_contrast_is_symmetric_and_blind_to_the_order_of_series() -> None:
    z1, z2 = noise(4, 7, 3), noise(4, 7, 3, seed=1)
    value, order = hierarchical_contrast(z1, z2), torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(hierarchical_contrast(z2, z1), value)
    torch.testing.assert_close(hierarchical_contrast(z1[order], z2[order]), value)


@pytest.mark.parametrize("step", [2, 32])
def test_crops_share_the_time_points_of_the_shared_steps(step: int) -> None:
    lengths = torch.tensor([200, 150, 131])
    time = torch.arange(200.0).expand(3, 2, 200)
    x = torch.where(torch.arange(200) < lengths[:, None, None], time, torch.nan)
    sizes, starts = set(), set()
    for seed in range(60):
        first, second, n_shared = crop_twice(x, lengths, step, seeded(seed))
        n = n_shared * step
        assert n_shared >= 2
        assert torch.equal(first[..., -n:], second[..., :n])  # and no NaN of the padding
        for view in (first, second):
            assert view.shape[-1] % step == 0
            assert (view.diff(dim=-1) == 1).all()
        sizes.add((first.shape[-1], second.shape[-1], n_shared))
        starts |= {float(v) for v in first[:, 0, 0]}
    assert len(sizes) > 5
    assert 0 <= min(starts) < 10 < max(starts)
    with pytest.raises(ValueError, match=f"at least {2 * step} time points .* got {2 * step - 1}"):
        crop_twice(x[..., : 2 * step - 1], None, step, seeded(0))


def test_shared_steps_of_the_maps_are_of_the_same_time() -> None:
    """Far from the ends of both crops an encoder gives the same features."""
    encoder = FEIEncoder(1, 16, 1, generator=seeded(0)).double().eval()
    first, second, n_shared = crop_twice(noise(2, 1, 600), None, 2, seeded(2))
    a, b = encoder(first)[..., -n_shared:], encoder(second)[..., :n_shared]
    assert n_shared > 80
    torch.testing.assert_close(a[..., 34:-34], b[..., 34:-34])


# TimesURL


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((2, 2), 1.7513191341), ((3, 4), 2.2285802416), ((2, 1), 1.5567281192)],
)
def test_mixed_negatives_double_the_candidates(shape: tuple[int, int], expected: float) -> None:
    zeros = torch.zeros(*shape, 3, dtype=torch.float64)
    actual = hierarchical_contrast(
        zeros, zeros, alpha=timesurl.ALPHA, negatives=lambda a, b: torch.cat([a, b], dim=-2)
    )
    assert math.isclose(float(actual), expected, abs_tol=1e-9)


def test_mixed_negatives_are_mixed_with_another() -> None:
    z = noise(2, 5, 3)
    for seed in range(10):
        other = (timesurl.mixed_negatives(z, seeded(seed)) - 0.2 * z) / 0.8
        same = (other[:, :, None] - z[:, None]).abs().amax(dim=-1) < 1e-9
        assert (same.sum(dim=-1) == 1).all()
        assert not same.diagonal(dim1=-2, dim2=-1).any()


def test_error_on_the_masked_points_alone() -> None:
    truth, kept = noise(1, 1, 8), torch.ones(1, 1, 8)
    kept[..., 2:5] = 0
    rebuilt = truth + torch.where(kept == 0, 2.0, 7.0)
    assert math.isclose(float(timesurl.masked_error(truth, rebuilt, kept)), 2.0)
    assert float(timesurl.masked_error(truth, rebuilt, torch.ones(1, 1, 8))) == 0


@pytest.mark.parametrize("n_timepoints", [16, 17])
def test_mixing_of_spectra(n_timepoints: int) -> None:
    x = noise(2, 3, n_timepoints)
    torch.testing.assert_close(timesurl.mix_spectra(x, rate=0.0, generator=seeded(0)), x)
    every = timesurl.mix_spectra(x, rate=1.0, n_protected=0, generator=seeded(0))
    torch.testing.assert_close(every, x.flip(0))
    spectrum, mixed = torch.fft.rfft(x), torch.fft.rfft(timesurl.mix_spectra(x, rate=1.0))
    strongest = spectrum.abs().topk(3).indices
    torch.testing.assert_close(mixed.gather(-1, strongest), spectrum.gather(-1, strongest))
    kept = torch.isclose(mixed, spectrum).sum(dim=-1)
    assert (kept == 3).all()


def test_segments_are_three_and_disjoint() -> None:
    kept = timesurl.segment_mask(noise(50, 2, 200), seeded(0))
    assert ((1 - kept).sum(dim=-1) == 30).all()
    share = 1 - kept.mean(dim=(0, 1))
    assert share[20:-20].min() > 0.03  # anywhere
    assert (timesurl.segment_mask(noise(2, 2, 4), seeded(0)).sum(dim=-1) == 1).all()


def test_head_rebuilds_each_step_in_its_place() -> None:
    objective = build("timesurl", n_timepoints=40)
    objective.encoder = torch.nn.AvgPool1d(2)  # a map of two time points a step
    objective.head = torch.nn.Linear(2, 4).double()
    with torch.no_grad():  # all channels of the first time point, then of the second
        objective.head.weight.zero_()
        objective.head.bias.copy_(tensor([1, 2, 3, 4]))
    x = tensor([[1, 3], [2, 4]]).repeat(1, 20)[None]
    assert objective.reconstruction(x, seeded(0)).item() == 0
    assert objective.reconstruction(x.flip(1), seeded(0)).item() > 0


# TimeDRL


def test_timedrl_values() -> None:
    one, zero = tensor(1.0), tensor(0.0)
    i, along, across = tensor([[1, 0]]), tensor([[3, 0]]), tensor([[0, 1]])
    perfect = timedrl.losses([zero, zero], [i, i], [along, along])
    assert (float(perfect.contrast_loss), float(perfect.loss)) == (-1, pytest.approx(-0.1))
    assert float(timedrl.losses([one, one], [i, i], [across, across]).loss) == 1
    half = timedrl.losses([one, zero], [i, i], [along, across])
    assert (float(half.prediction_loss), float(half.contrast_loss)) == (0.5, -0.5)


def test_timedrl_holds_the_other_pass_fixed() -> None:
    instances = [noise(3, 4, seed=s).requires_grad_() for s in (1, 2)]
    projected = [noise(3, 4, seed=s).requires_grad_() for s in (3, 4)]
    timedrl.losses([tensor(0.0)] * 2, instances, projected).loss.backward()
    assert [i.grad for i in instances] == [None, None]
    assert all(g.grad.abs().sum() > 0 for g in projected)


def test_timedrl_passes_differ_by_dropout_alone() -> None:
    x = noise(4, 2, 64)
    with_dropout = build("timedrl")(x, generator=seeded(0))
    without = build("timedrl", dropout=0.0).eval()
    tokens = without.encoder.tokens(without.encoder.patches(x))
    assert torch.equal(timedrl.dropped(tokens, 0.0, seeded(0)), tokens)
    first, other = (without(x, generator=seeded(s)) for s in (1, 2))
    assert first == other
    assert with_dropout.loss.isfinite()


def test_timedrl_tokens() -> None:
    encoder = build("timedrl", n_channels=1, n_timepoints=178).encoder
    x = noise(2, 1, 178)
    patches = encoder.patches(x)
    assert patches.shape == (2, 21, 16)
    assert torch.equal(patches[1, 3], x[1, 0, 24:40])
    assert encoder.tokens(patches).shape == (2, 16, 22)
    assert encoder(x).shape == (2, 16, 1)
    two = build("timedrl").encoder.patches(noise(2, 2, 64))
    assert torch.equal(two[0, 1], noise(2, 2, 64)[0, :, 8:24].flatten())
    with pytest.raises(ValueError, match="takes series of 16 to 178 time points, got 179"):
        encoder(noise(2, 1, 179))
    with pytest.raises(ValueError, match="takes series of 16 to 178 time points, got 15"):
        encoder(noise(2, 1, 15))
    assert build("timedrl", n_timepoints=10).encoder(noise(2, 2, 10)).shape == (2, 16, 1)


def test_timedrl_spares_positions_and_class_patch_from_decay() -> None:
    objective = build("timedrl")
    spared = {id(p) for p in objective.undecayed()}
    names = {n for n, p in objective.named_parameters() if id(p) in spared}
    assert names == {"encoder.class_patch", "encoder.positions"}


# TF-C


UNIT = torch.eye(4, dtype=torch.float64)


@pytest.mark.parametrize(
    ("u", "v", "temperature", "nt", "poly"),
    [
        (UNIT[:2], UNIT[:2], 0.2, 0.0133859017, 0.3555837077),
        (UNIT[:2], UNIT[2:], 0.2, 1.0986122887, 1.8763900664),
        (UNIT[:2], UNIT[:2], 1.0, 0.5514447139, 1.1673667908),
    ],
)
def test_poly_nt_xent(u: Tensor, v: Tensor, temperature: float, nt: float, poly: float) -> None:
    plain = two_views(u, v, kind="cosine", temperature=temperature).mean()
    assert math.isclose(float(plain), nt, abs_tol=1e-9)
    assert math.isclose(float(tfc.poly_nt_xent(u, v, temperature)), poly, abs_tol=1e-9)
    torch.testing.assert_close(tfc.poly_nt_xent(5 * u, v), tfc.poly_nt_xent(u, v))


def test_nt_xent_of_three() -> None:
    unit = torch.eye(6, dtype=torch.float64)
    same = two_views(unit[:3], unit[:3], kind="cosine", temperature=0.2).mean()
    apart = two_views(unit[:3], unit[3:], kind="cosine", temperature=0.2).mean()
    assert math.isclose(float(same), 0.0265949853, abs_tol=1e-9)
    assert math.isclose(float(apart), math.log(5), abs_tol=1e-9)


def test_tfc_views() -> None:
    x = 3 * noise(200, 2, 50) + 1
    spectrum = tfc.amplitudes(x)
    np.testing.assert_allclose(spectrum.numpy(), np.abs(np.fft.fft(x.numpy())), atol=1e-9)
    assert torch.equal(tfc.jitter(x, sigma=0.0), x)
    added = tfc.jitter(x, generator=seeded(0)) - x
    assert math.isclose(float(added.std()), 0.8 * 3, rel_tol=0.05)
    assert torch.equal(tfc.perturb_amplitudes(spectrum, removed=0.0, raised=0.0), spectrum)
    perturbed = tfc.perturb_amplitudes(spectrum, generator=seeded(0))
    gain = (perturbed - spectrum)[perturbed > spectrum]
    assert gain.max() <= 0.1 * spectrum.max()
    assert math.isclose(len(gain) / spectrum.numel(), 0.09, abs_tol=0.005)
    lost = (perturbed == 0).double().mean()
    assert math.isclose(float(lost), 0.09, abs_tol=0.005)  # a tenth, of which a tenth gains


def test_tfc_reads_both_domains_each_at_its_own_length() -> None:
    encoder = build("tfc").encoder.eval()
    lengths = torch.tensor([64, 40, 40])
    x = noise(3, 2, 64) * (torch.arange(64) < lengths[:, None, None])
    together, n_steps = encoder.stages(x, lengths)[-1]
    alone = encoder(x[1:2, :, :40])
    assert alone.shape[1] == 32
    torch.testing.assert_close(together[1:2, :, : n_steps[1]], alone)
    flipped = encoder(x[1:2, :, :40].flip(-1))  # the same amplitudes
    torch.testing.assert_close(flipped[:, 16:], alone[:, 16:])
    assert not torch.allclose(flipped[:, :16], alone[:, :16])


# SimMTM


def test_simmtm_values() -> None:
    v = UNIT[:2].repeat(4, 1)
    similarity = simmtm.similarity_to_others(v)
    expected = 3 * math.log(3 + 4 * math.exp(-5))
    assert math.isclose(float(simmtm.copies_contrast(similarity, 2)), expected, abs_tol=1e-9)
    assert math.isclose(expected, 3.3226683078, abs_tol=1e-9)
    weights = similarity.softmax(dim=1)
    torch.testing.assert_close(weights[0, 2], tensor(0.3303653543), atol=1e-9, rtol=0)
    torch.testing.assert_close(weights[0, 1], tensor(0.0022259842), atol=1e-9, rtol=0)
    assert (weights.diagonal() == 0).all()
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(8).double())

    pair = simmtm.similarity_to_others(UNIT[:2].repeat(2, 1))
    assert math.isclose(float(simmtm.copies_contrast(pair, 2)), 0.0133859017, abs_tol=1e-9)
    mean = pair.softmax(dim=1) @ tensor([1, 10, 3, 20])
    expected = [3.1595605, 19.7606592, 1.1861539, 9.8936263]
    np.testing.assert_allclose(mean.numpy(), expected, atol=1e-7)

    equal = simmtm.similarity_to_others(torch.ones(8, 3).double())
    assert math.isclose(float(simmtm.copies_contrast(equal, 2)), 3 * math.log(7), abs_tol=1e-9)


def test_simmtm_learned_weights() -> None:
    scales = torch.ones(2, dtype=torch.float64, requires_grad=True)
    loss = simmtm.weighted(tensor(1.0), tensor(2.0), scales)
    loss.backward()
    assert math.isclose(loss.item(), 2.8862943611, abs_tol=1e-5)
    np.testing.assert_allclose(scales.grad.numpy(), [0, -1], atol=1e-5)
    objective = build("simmtm")
    assert [id(p) for p in objective.undecayed()] == [id(objective.scales)]


def test_simmtm_rebuilds_the_originals_and_no_longer_ones() -> None:
    objective = build("simmtm", n_channels=2, n_timepoints=64)
    with torch.no_grad():
        objective.head.weight.zero_()
        objective.head.bias.copy_(torch.arange(128.0))
    x = torch.arange(128.0).reshape(1, 2, 64).double().repeat(3, 1, 1)
    assert objective(x, generator=seeded(0)).reconstruction_loss.item() == 0
    assert objective(x[..., :40], generator=seeded(0)).reconstruction_loss.item() == 0
    with pytest.raises(ValueError, match="rebuilds series of up to 64 time points, got 65"):
        objective(noise(3, 2, 65), generator=seeded(0))


@pytest.mark.parametrize(("share", "masked_run", "kept_run"), [(0.5, 3, 3), (0.25, 3, 9)])
def test_simmtm_mask_has_geometric_runs(share: float, masked_run: int, kept_run: int) -> None:
    kept = simmtm.markov_mask(torch.zeros(4, 2, 100_000), share=share, generator=seeded(0))
    assert set(kept.unique().tolist()) == {0, 1}
    assert math.isclose(1 - float(kept.mean()), share, abs_tol=0.01)
    changes = kept.diff(dim=-1)
    assert math.isclose(float((1 - kept).sum() / (changes == 1).sum()), masked_run, rel_tol=0.02)
    assert math.isclose(float(kept.sum() / (changes == -1).sum()), kept_run, rel_tol=0.02)
    longer = (kept[..., :-2] == 1) & (kept[..., 1:-1] == 1)  # the past but one does not matter
    goes_on = kept[..., 2:][longer].mean()
    assert math.isclose(float(goes_on), 1 - 1 / kept_run, abs_tol=0.01)


# InfoTS


def test_infots_global_contrast_of_orthonormal_series() -> None:
    value = float(two_views(UNIT[:2], UNIT[:2]).mean())
    assert math.isclose(value, 0.5514447139, abs_tol=1e-9)


@pytest.mark.parametrize(("k", "expected"), [(4, 0.6931471806), (8, 1.7917594692), (16, 2.639057)])
def test_infots_local_contrast_of_equal_segments(k: int, expected: float) -> None:
    for value in (0.0, 7.0):
        actual = infots.local_contrast(torch.full((3, k, k), value, dtype=torch.float64))
        assert math.isclose(float(actual), expected, abs_tol=1e-6)


def test_infots_local_contrast() -> None:
    segments = UNIT[[0, 0, 1, 1]]
    actual = infots.local_contrast((segments @ segments.T).repeat(2, 1, 1))
    assert math.isclose(float(actual), 0.4082330608, abs_tol=1e-9)


def test_infots_segments() -> None:
    z = torch.arange(43.0).repeat(2, 5, 1)
    starts = set()
    for seed in range(20):
        segments = infots.pooled_segments(z, seeded(seed))
        assert segments.shape == (2, 8, 5)
        assert (segments.diff(dim=1) == 5).all()
        starts.add(float(segments[0, 0, 0]) - 4)
    assert starts == {0, 1, 2, 3}
    assert infots.pooled_segments(z[..., :6], None).shape == (2, 6, 5)
    with pytest.raises(ValueError, match="at least 4 steps, got 3"):
        infots.pooled_segments(z[..., :3], None)


def test_infots_mixture_is_convex() -> None:
    x = noise(3, 2, 40)
    logits = infots.logistic_noise(x, seeded(0))
    assert logits.shape == (7,)
    torch.testing.assert_close(infots.mixture(x.repeat(7, 1, 1, 1), logits), x)
    one = torch.full((7,), -100.0)
    one[3] = 0
    views = noise(7, 3, 2, 40)
    torch.testing.assert_close(infots.mixture(views, one), views[3])


def test_infots_learns_the_mixture_and_nothing_else() -> None:
    objective, x = build("infots"), noise(6, 2, 64)
    before = {k: v.clone() for k, v in objective.state_dict().items()}
    generator = seeded(0)
    objective(x, generator=generator)
    after_first = {k: v.clone() for k, v in objective.state_dict().items()}
    objective.update_target(0.9)
    assert torch.equal(objective.logits, before["logits"])  # every other step
    objective(x, generator=generator)
    statistics = {k: v.clone() for k, v in objective.state_dict().items()}
    objective.update_target(0.9)
    assert objective.training
    assert not objective.logits.requires_grad
    for name, value in objective.state_dict().items():
        assert torch.equal(value, statistics[name]) is (name != "logits"), name
    assert any(not torch.equal(after_first[k], before[k]) for k in before)  # the statistics
    assert all(p.grad is None for p in objective.encoder.parameters())
    kept = {k for k in objective.state_dict() if not k.startswith("encoder.")}
    assert kept == {"logits"}  # and no series


@pytest.mark.parametrize("n_timepoints", [8, 41, 178])
def test_infots_candidates(n_timepoints: int) -> None:
    x = noise(30, 2, n_timepoints)
    views = augmentations.candidates(x, seeded(0))
    assert views.shape == (7, *x.shape)
    assert views.isfinite().all()
    window, cut, jittered, scaled = views[:4]
    assert len({tuple(row) for row in (window != 0).flatten(0, 1).tolist()}) == 1
    assert torch.equal(window[window != 0], x[window != 0])
    assert ((cut == 0).sum(dim=-1) == n_timepoints // 10).all()
    assert 0.2 < (jittered - x).std() < 0.4
    factor = scaled / x
    torch.testing.assert_close(factor, factor[..., :1].expand_as(factor))
    assert 0.3 < factor[..., 0].std() < 0.7
    ramp = torch.arange(float(n_timepoints)).double().expand(30, 1, -1)
    for warp in augmentations.AUGMENTATIONS[4:]:
        read = warp(ramp, seeded(1))  # where it reads
        assert read.min() >= 0
        assert read.max() <= n_timepoints - 1
        assert (read.diff(dim=-1) >= -1e-9).all()
        assert len({round(v, 6) for v in read[:, 0, n_timepoints // 2].tolist()}) > 1  # per series
    for warp in (augmentations.time_warp, augmentations.window_warp):
        ends = warp(ramp, seeded(1))[..., [0, -1]]
        torch.testing.assert_close(ends, tensor([0, n_timepoints - 1]).expand(30, 1, 2))


def test_infots_time_warp() -> None:
    speeds = tensor([[0.2, 0.5, 0.8]])
    anchors = augmentations.warp_anchors(speeds)
    expected = tensor([[0, 0.0606060606, 0.3939393939, 1]])
    torch.testing.assert_close(anchors, expected, atol=1e-9, rtol=0)
    many = augmentations.warp_anchors(torch.rand((5, 101), generator=seeded(0)).double())
    at = torch.linspace(0, 1, 77, dtype=torch.float64)
    actual = augmentations.monotone_cubic(many, at)
    for row, knots in zip(actual, many, strict=True):
        curve = PchipInterpolator(np.linspace(0, 1, 102), knots.numpy())
        np.testing.assert_allclose(row.numpy(), curve(at.numpy()), atol=1e-9)


def test_infots_window_warp() -> None:
    start, factor = tensor([[2], [2]]), tensor([[2.0], [0.5]])
    twice, half = augmentations.window_warp_positions(start, 4, factor, 11)
    # 10 + 4 long: 0 1 2 | 2.5 ... 6 | 7 8 9 10, read at 11 points; and 10 - 2 long
    warped = np.arange(11) / 10 * 14
    np.testing.assert_allclose(twice.numpy(), np.interp(warped, [0, 2, 10, 14], [0, 2, 6, 10]))
    warped = np.arange(11) / 10 * 8
    np.testing.assert_allclose(half.numpy(), np.interp(warped, [0, 2, 4, 8], [0, 2, 6, 10]))


def test_infots_reads_between_time_points() -> None:
    x = noise(2, 3, 9)
    positions = tensor([[0, 0.5, 7.25, 8], [8, 3, 3.5, 0]])
    actual = augmentations.read_at(x, positions)
    for i in range(2):
        for c in range(3):
            expected = np.interp(positions[i].numpy(), np.arange(9), x[i, c].numpy())
            np.testing.assert_allclose(actual[i, c].numpy(), expected)
