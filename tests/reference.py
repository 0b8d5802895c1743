"""The method's formulas once more, in float64 NumPy, to hold the package against.

Nothing here is fast and nothing uses torch. Series are a *list* of arrays of shape (n_channels,
n_timepoints), each of its own length, so that there is no padding to get wrong: batch norm takes
its statistics over the concatenation of all series. Parameters are a dict from the names of the
package's state dict to arrays.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import erf

Array = np.ndarray
Series = list[Array]
Parameters = dict[str, Array]

N_STAGES, N_BLOCKS = 4, 2
BATCH_NORM_EPS, BATCH_NORM_RATE = 1e-5, 0.1


# Arrays that both sides can compute


def arrays_of(state_dict: Mapping[str, Any]) -> Parameters:
    """Float64 copies of a state dict's tensors."""
    return {
        name: np.array(value.detach().cpu().numpy(), np.float64)
        for name, value in state_dict.items()
    }


def weights_by_rule(name: str, shape: tuple[int, ...]) -> Array:
    """An array drawn from its own name: no weights need to be stored with golden numbers.

    ``RandomState`` is frozen for good, unlike ``default_rng``, whose stream may change.
    """
    normal = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    *_, layer, kind = ("", *name.split("."))
    if kind == "prompts":
        return normal
    if kind == "running_var":
        return np.exp(0.1 * normal)
    if kind in ("bias", "running_mean"):
        return 0.1 * normal
    if layer.startswith("norm"):
        return 1.0 + 0.1 * normal
    return normal / np.sqrt(np.prod(shape[1:]))


def set_weights_by_rule(module: Any) -> None:
    """Replace all weights and statistics of a torch module by those of :func:`weights_by_rule`."""
    state = {
        name: value
        if name.endswith("num_batches_tracked")
        else value.new_tensor(weights_by_rule(name, tuple(value.shape)))
        for name, value in module.state_dict().items()
    }
    module.load_state_dict(state)


def digest(array: Array) -> Array:
    """Six numbers of an array: norm, product with a fixed random array, and four of its entries."""
    flat = np.asarray(array, np.float64).ravel()
    n = flat.size
    probe = np.random.RandomState(n).standard_normal(n)
    return np.array(
        [np.linalg.norm(flat), flat @ probe, *flat[[0, n // 3, 2 * n // 3, n - 1]]], np.float64
    )


# Masks


def n_positions(n_timepoints: int, kind: str = "discrete") -> int:
    """Number of rfft bins, or of time points."""
    return n_timepoints if kind == "temporal" else n_timepoints // 2 + 1


def removed_range(mask_ratio: tuple[float, float], n_positions: int) -> tuple[int, int]:
    """Fewest and most positions that a mask removes, both included."""
    low, high = mask_ratio
    return round(low * n_positions), round(high * n_positions)


def target_series(series: Array, mask: Array, kind: str = "discrete") -> Array:
    """One series (n_channels, n_timepoints) without what one mask (n_positions,) removes."""
    if kind == "temporal":
        return series * mask
    return np.fft.irfft(np.fft.rfft(series, axis=-1) * mask, n=series.shape[-1], axis=-1)


def mask_prompt(mask: Array, prompts: Array) -> Array:
    """Sum of the removed positions' prompts over the root of their number."""
    removed = 1.0 - mask
    return removed @ prompts / (np.sqrt(removed.sum(axis=-1, keepdims=True)) + 1e-6)


def prompts_at(
    prompts: Array, n_timepoints: int, reference_length: int, kind: str = "discrete"
) -> Array:
    """Prompts for series of another length, linear between those of the reference length.

    Positions are compared as frequencies in cycles per time point, or, where time points are
    masked, as shares of the series' duration.
    """
    here, there = n_timepoints, reference_length
    if kind == "temporal":
        here, there = max(here - 1, 1), max(there - 1, 1)
    asked = np.arange(n_positions(n_timepoints, kind)) / here
    known = np.arange(len(prompts)) / there
    return np.stack([np.interp(asked, known, column) for column in prompts.T], axis=1)


# Layers


def gelu(x: Array) -> Array:
    """Exact GELU."""
    return 0.5 * x * (1.0 + erf(x / np.sqrt(2.0)))


def linear(x: Array, params: Parameters, name: str) -> Array:
    """Affine map of the last axis."""
    return x @ params[f"{name}.weight"].T + params[f"{name}.bias"]


def conv1d(x: Array, weight: Array, stride: int = 1) -> Array:
    """Cross-correlation of (in, T) with (out, in, k), zero padding of k // 2 on both sides."""
    half = weight.shape[2] // 2
    padded = np.pad(x, ((0, 0), (half, half)))
    starts = range(0, x.shape[1], stride)
    windows = [padded[:, start : start + weight.shape[2]] for start in starts]
    return np.stack([np.einsum("oik,ik->o", weight, window) for window in windows], axis=1)


def avg_pool(x: Array) -> Array:
    """Means of pairs of steps; an odd last step is dropped."""
    n_pairs = x.shape[1] // 2
    return x[:, : 2 * n_pairs].reshape(len(x), n_pairs, 2).mean(axis=2)


def batch_norm(x: Series, params: Parameters, name: str, training: bool) -> Series:
    """Batch norm over series and time. In training mode it moves `params`' running statistics."""
    mean, variance = params[f"{name}.running_mean"], params[f"{name}.running_var"]
    if training:
        values = np.concatenate(x, axis=1)
        keep, unbiased = 1.0 - BATCH_NORM_RATE, values.var(axis=1, ddof=1)
        params[f"{name}.running_mean"] = keep * mean + BATCH_NORM_RATE * values.mean(axis=1)
        params[f"{name}.running_var"] = keep * variance + BATCH_NORM_RATE * unbiased
        mean, variance = values.mean(axis=1), values.var(axis=1)
    scale = params[f"{name}.weight"] / np.sqrt(variance + BATCH_NORM_EPS)
    return [(s - mean[:, None]) * scale[:, None] + params[f"{name}.bias"][:, None] for s in x]


# Encoder


def residual_block(x: Series, params: Parameters, name: str, stride: int, training: bool) -> Series:
    """conv - norm - GELU - conv - norm, plus the shortcut, then GELU."""

    def conv_norm(x: Series, conv: str, norm: str, stride: int) -> Series:
        weight = params[f"{name}.{conv}.weight"]
        convolved = [conv1d(s, weight, stride) for s in x]
        return batch_norm(convolved, params, f"{name}.{norm}", training)

    inner = [gelu(s) for s in conv_norm(x, "conv1", "norm1", stride)]
    out = conv_norm(inner, "conv2", "norm2", 1)
    if f"{name}.shortcut.conv.weight" in params:
        x = conv_norm(x, "shortcut.conv", "shortcut.norm", stride)
    return [gelu(o + s) for o, s in zip(out, x, strict=True)]


def encode(
    series: Series, params: Parameters, *, prefix: str = "", stride: int = 2, training: bool = False
) -> list[Series]:
    """Maps of the four stages. In training mode it moves `params`' running statistics."""
    weight = params[f"{prefix}stem.conv.weight"]
    x = batch_norm([conv1d(s, weight) for s in series], params, f"{prefix}stem.norm", training)
    x = [avg_pool(gelu(s)) for s in x]
    maps = []
    for stage in range(N_STAGES):
        for block in range(N_BLOCKS):
            name = f"{prefix}blocks.{stage}.{block}"
            x = residual_block(x, params, name, stride if block == 0 else 1, training)
        maps.append(x)
    return maps


def embed(series: Series, params: Parameters, prefix: str, stride: int, training: bool) -> Array:
    """Mean over time of the last stage's map, of shape (n_samples, width)."""
    maps = encode(series, params, prefix=prefix, stride=stride, training=training)
    return np.stack([s.mean(axis=1) for s in maps[-1]])


# Objective


class Reference(NamedTuple):
    """Both branches and both losses; arrays have the shape (n_samples, n_targets, d)."""

    target: Array
    inferred_target: Array
    prompt: Array
    inferred_prompt: Array
    embedding_loss: float
    mask_loss: float

    @property
    def loss(self) -> float:
        """Sum of both losses."""
        return self.embedding_loss + self.mask_loss


def predictor(x: Array, params: Parameters, name: str) -> Array:
    """Linear, GELU, linear."""
    return linear(gelu(linear(x, params, f"{name}.0")), params, f"{name}.2")


def objective(
    series: Series,
    masks: Sequence[Array],
    params: Parameters,
    *,
    kind: str = "discrete",
    stride: int = 2,
    training: bool = True,
    prompts: Sequence[Array] | None = None,
) -> Reference:
    """Losses of a batch; in training mode it moves `params`' running statistics.

    Parameters
    ----------
    series : list of ndarray of shape (n_channels, n_timepoints)
        The batch.
    masks : sequence of ndarray of shape (n_targets, n_positions)
        Masks of each series.
    params : dict of ndarray
        The objective's state dict.
    kind : {"discrete", "continuous", "temporal"}, default="discrete"
        What is masked.
    stride : int, default=2
        Stride of the encoder's stages.
    training : bool, default=True
        Whether batch norm uses the batch's own statistics.
    prompts : sequence of ndarray of shape (n_positions, d), default=None
        Prompts for each series; None takes the learned ones, for series of the reference length.

    Returns
    -------
    Reference
        Everything that is inferred, and the losses.
    """
    if prompts is None:
        prompts = [params["prompts"]] * len(series)
    z = linear(embed(series, params, "encoder.", stride, training), params, "projector")
    targets = []
    for i in range(len(masks[0])):
        masked = [target_series(s, m[i], kind) for s, m in zip(series, masks, strict=True)]
        embedding = embed(masked, params, "target_encoder.", stride, training)
        targets.append(linear(embedding, params, "target_projector"))
    t = np.stack(targets, axis=1)
    p = np.stack([mask_prompt(m, rows) for m, rows in zip(masks, prompts, strict=True)])
    inferred_target = predictor(z[:, None] + p, params, "embedding_predictor")
    inferred_prompt = predictor(t - z[:, None], params, "mask_predictor")
    return Reference(
        target=t,
        inferred_target=inferred_target,
        prompt=p,
        inferred_prompt=inferred_prompt,
        embedding_loss=float(np.mean((inferred_target - t) ** 2)),
        mask_loss=float(np.mean((inferred_prompt - p) ** 2)),
    )


# Momentum


def momentum_at(step: int, n_steps: int, start: float = 0.995) -> float:
    """Linear from `start` at step 0 to 1 at the end of the run."""
    return start + step * (1.0 - start) / n_steps


def moved_target(target: Array, online: Array, momentum: float) -> Array:
    """Exponential moving average."""
    return momentum * target + (1.0 - momentum) * online
