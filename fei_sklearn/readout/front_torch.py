"""Statistics of a bank of dilated convolutions in torch: on accelerators, and with gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fei_sklearn.data import on_device
from fei_sklearn.encoder.dilated import convolve
from fei_sklearn.encoder.layers import valid_mask
from fei_sklearn.encoder.layout import KERNELS_PER_GROUP
from fei_sklearn.encoder.maps import has_front
from fei_sklearn.readout.spec import FLAT_BAND, FrontSpec
from fei_sklearn.readout.views_torch import view_of

#: Values of a view whose maps are computed at once on a device.
VALUES_AT_ONCE = 2**17

#: Deviations from a threshold over which the gradient of "ppv" spreads.
SOFTNESS = 0.1


@torch.inference_mode()
def features_on_device(
    seen: np.ndarray,
    lengths: np.ndarray,
    kernels: np.ndarray,
    dilations: np.ndarray,
    thresholds: np.ndarray,
    device: torch.device,
) -> np.ndarray:
    """Return the statistics of all kernels over rows of a view, computed on a device.

    Maxima and counts have the bits of :func:`fei_sklearn.readout.front_numba.write_features`;
    "peaks" differs by rounding.

    Parameters
    ----------
    seen, lengths, kernels, dilations, thresholds : ndarray
        As for :func:`fei_sklearn.readout.front_numba.write_features`.
    device : torch.device
        Device that computes.

    Returns
    -------
    ndarray of shape (n_samples, 3 + n_thresholds, n_dilations * n_kernels), float32
        Statistics.
    """
    bank = on_device(kernels, device)
    cuts = on_device(thresholds, device)
    steps = [int(dilation) for dilation in dilations]
    n_channels = thresholds.shape[1]
    features = np.empty((len(seen), 3 + len(thresholds), n_channels), dtype=np.float32)
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        n_at_once = max(1, VALUES_AT_ONCE // int(length))
        for start in range(0, len(rows), n_at_once):
            block = rows[start : start + n_at_once]
            series = on_device(seen[block, :length], device)
            maps = _exact_maps(series, bank, steps)
            features[block] = torch.stack(_statistics(maps, cuts), dim=1).cpu().numpy()
    # torch's own roots round differently on other devices
    roots = features[:, -2:]
    np.sqrt(roots, out=roots)
    return features


def _exact_maps(series: Tensor, bank: Tensor, dilations: Sequence[int]) -> Tensor:
    """Return maps whose taps are multiplied and added one after the other, never fused."""
    n_timepoints = series.shape[1]
    n_taps = bank.shape[2]
    maps = []
    for kernels, dilation in zip(bank, dilations, strict=True):
        margin = n_taps // 2 * dilation
        padded = F.pad(series, (margin, margin))
        total = kernels[:, :1] * padded[:, None, :n_timepoints]
        for tap in range(1, n_taps):
            start = tap * dilation
            shifted = padded[:, None, start : start + n_timepoints]
            total += kernels[:, tap : tap + 1] * shifted
        maps.append(total)
    return torch.cat(maps, dim=1)


def _statistics(
    maps: Tensor,
    thresholds: Tensor,
    lengths: Tensor | None = None,
) -> list[Tensor]:
    """Return the statistics of maps, each of shape (n_samples, n_channels).

    These are maxima, one share per threshold, and "wins" and "peaks" before their roots. Gradients
    pass through the maxima, the shares and the peaks. A share has the gradient of a sigmoid in the
    place of its steps.
    """
    n_samples, n_channels, length = maps.shape
    valid = torch.ones((1, 1, length), dtype=maps.dtype, device=maps.device)
    n_steps = maps.new_full((n_samples, 1), length)
    if lengths is not None:
        valid = valid_mask(lengths, length, maps.dtype)
        n_steps = lengths[:, None].to(maps.dtype)
    maxima = maps.masked_fill(valid == 0, -torch.inf).amax(dim=-1)
    statistics = [maxima]
    for of_order in thresholds:
        above = _above(maps, of_order[:, None]) * valid
        statistics.append(above.sum(dim=-1) / n_steps)
    groups = maps.reshape(n_samples, -1, KERNELS_PER_GROUP, length)
    lowest = groups.amin(dim=2, keepdim=True).clamp(max=-FLAT_BAND)
    highest = groups.amax(dim=2, keepdim=True).clamp(min=FLAT_BAND)
    wins = (groups == lowest).to(maps.dtype) * valid[:, None]
    peaks = torch.where(groups == highest, groups, 0.0) * valid[:, None]
    for values in (wins, peaks):
        total = values.sum(dim=-1).reshape(n_samples, n_channels)
        statistics.append(total / n_steps)
    return statistics


def _above(maps: Tensor, threshold: Tensor) -> Tensor:
    """Return 1 above a threshold and 0 below it, with the gradient of a sigmoid."""
    above = (maps > threshold).to(maps.dtype)
    if not maps.requires_grad:
        return above
    soft = torch.sigmoid((maps - threshold) / SOFTNESS)
    return above + (soft - soft.detach())


def _root(values: Tensor) -> Tensor:
    """Return square roots, without a gradient at 0, where it would be infinite."""
    positive = values > 0
    safe = torch.where(positive, values, 1.0)
    return torch.where(positive, safe.sqrt(), 0.0)


class FrontModule(nn.Module):
    """Front end and readout as a module from series to features, for fine-tuning.

    Its features are those of :class:`fei_sklearn.readout.front.FrontReadout` to rounding.

    Parameters
    ----------
    encoder : torch.nn.Module
        Encoder with a dilated front end, not folded.
    spec : FrontSpec
        Views and groups of kernels.
    thresholds : dict of str to Tensor of shape (n_thresholds, n_channels)
        Thresholds of each view, of all the encoder's kernels.
    separate_channels : bool, default=False
        Whether series may have several channels, whose features stand side by side.

    Raises
    ------
    ValueError
        If the encoder has no dilated front end.
    """

    def __init__(
        self,
        encoder: nn.Module,
        spec: FrontSpec,
        thresholds: Mapping[str, Tensor],
        *,
        separate_channels: bool = False,
    ) -> None:
        super().__init__()
        if not has_front(encoder):
            raise ValueError(f"{type(encoder).__name__} has no dilated front end.")
        self.encoder = encoder
        self.spec = spec
        self.separate_channels = separate_channels
        for view in spec.views:
            self.register_buffer(f"thresholds_{view}", thresholds[view])

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
    ) -> Tensor:
        """Embed series.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels, n_timepoints)
            Series, zero on padding.
        lengths : Tensor of shape (n_samples,), default=None
            Time points of each series, where they differ.

        Returns
        -------
        Tensor of shape (n_samples, n_features)
            Features.
        """
        n_samples, n_channels, n_timepoints = x.shape
        series = x.reshape(n_samples * n_channels, 1, n_timepoints)
        if lengths is not None:
            lengths = lengths.repeat_interleave(n_channels)
        weight = self.encoder.front_weight()
        n_read = self.spec.n_groups * KERNELS_PER_GROUP
        kernels = weight[:, :n_read]
        features = []
        for view in self.spec.views:
            seen, n_seen = _see(series, lengths, view)
            maps = convolve(seen, kernels)
            of_all = self.get_buffer(f"thresholds_{view}")
            cuts = of_all.view(len(of_all), *weight.shape[:2])[:, :, :n_read]
            *plain, wins, peaks = _statistics(maps, cuts.flatten(1), n_seen)
            features += [*plain, _root(wins), _root(peaks)]
        return torch.cat(features, dim=1).reshape(n_samples, -1)


def _see(
    x: Tensor,
    lengths: Tensor | None,
    view: str,
) -> tuple[Tensor, Tensor | None]:
    """Return a view of series as :func:`fei_sklearn.readout.views.see`, and its steps."""
    if view == "level":
        return x, lengths
    if view == "change":
        x = x.diff(dim=-1)
        lengths = None if lengths is None else lengths - 1
    elif view == "halved":
        x = F.avg_pool1d(x, 2)
        lengths = None if lengths is None else lengths // 2
    seen = view_of(_without_padding(x, lengths), "shape", lengths)
    if view != "sum":
        return seen, lengths
    total = _without_padding(seen.cumsum(dim=-1), lengths)
    return view_of(total, "shape", lengths), lengths


def _without_padding(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Return series that are zero on padding."""
    if lengths is None:
        return x
    return x * valid_mask(lengths, x.shape[-1], x.dtype)
