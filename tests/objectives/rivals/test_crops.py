"""Two crops of each series: where they lie, and which steps of their maps are the same."""

from __future__ import annotations

import pytest
import torch
from tensors import noise, padded, seeded

from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.objectives.rivals.crops import crop_twice, samples_per_step


@pytest.mark.parametrize("step", [2, 32])
def test_crops_share_the_time_points_of_the_shared_steps(step: int) -> None:
    lengths = torch.tensor([200, 150, 131])
    time = torch.arange(200.0).expand(3, 2, 200)
    x = padded(time, lengths, torch.nan)
    sizes = set()
    starts = set()
    for seed in range(60):
        first, second, n_shared = crop_twice(x, lengths, step, seeded(seed))
        assert n_shared >= 2
        n_shared_points = n_shared * step
        last_of_first = first[..., -n_shared_points:]
        first_of_second = second[..., :n_shared_points]
        assert torch.equal(last_of_first, first_of_second)  # and no NaN of the padding
        for view in (first, second):
            assert view.shape[-1] % step == 0
            assert (view.diff(dim=-1) == 1).all()
        sizes.add((first.shape[-1], second.shape[-1], n_shared))
        starts.update(first[:, 0, 0].tolist())
    assert len(sizes) > 5
    assert 0 <= min(starts) < 10 < max(starts)


@pytest.mark.parametrize("step", [2, 32])
def test_series_of_less_than_two_steps_are_refused(step: int) -> None:
    n_timepoints = 2 * step - 1
    message = f"at least {2 * step} time points .* got {n_timepoints}"
    with pytest.raises(ValueError, match=message):
        crop_twice(noise(3, 2, n_timepoints), None, step, seeded(0))


def test_shared_steps_of_the_maps_are_at_the_same_time() -> None:
    """An encoder has the same features in both maps, away from the ends of the crops."""
    encoder = FEIEncoder(1, 16, 1, generator=seeded(0)).double().eval()
    crops = crop_twice(noise(2, 1, 600), None, samples_per_step(encoder), seeded(2))
    in_first = crops.shared_in_first(encoder(crops.first))
    in_second = crops.shared_in_second(encoder(crops.second))
    assert crops.n_shared > 80
    assert in_first.shape == (2, crops.n_shared, 16)
    torch.testing.assert_close(in_first[:, 34:-34], in_second[:, 34:-34])


@pytest.mark.parametrize(("stride", "expected"), [(1, 2), (2, 32)])
def test_time_points_per_step(stride: int, expected: int) -> None:
    encoder = FEIEncoder(1, 16, stride)
    assert samples_per_step(encoder) == expected
    assert encoder(torch.zeros(1, 1, 2 * expected)).shape[-1] == 2
