"""The method's formulas in float64 NumPy, independent of the package.

Nothing here is fast and nothing imports torch. Series are a *list* of arrays of shape (n_channels,
n_timepoints), each of its own length, so that there is no padding: batch norm computes its
statistics over the concatenation of all series. Parameters are a dict from the names of the
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

N_STAGES = 4
N_BLOCKS = 2
BATCH_NORM_EPS = 1e-5
BATCH_NORM_RATE = 0.1


# Weights and digests, which both sides can compute


def arrays_of(state_dict: Mapping[str, Any]) -> Parameters:
    """Return float64 copies of a state dict's tensors."""
    return {
        name: np.array(value.detach().cpu().numpy(), np.float64)
        for name, value in state_dict.items()
    }


def weights_by_rule(name: str, shape: tuple[int, ...]) -> Array:
    """Return an array drawn from its own name, so that golden numbers need no stored weights.

    The stream of ``RandomState`` never changes, unlike the stream of ``default_rng``.
    """
    seed = zlib.crc32(name.encode())
    normal = np.random.RandomState(seed).standard_normal(shape)
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
    state = module.state_dict()
    for name, value in state.items():
        if not name.endswith("num_batches_tracked"):
            rule = weights_by_rule(name, tuple(value.shape))
            state[name] = value.new_tensor(rule)
    module.load_state_dict(state)


def digest(array: Array) -> Array:
    """Return six numbers: norm, product with a fixed random array, and four of the entries."""
    flat = np.asarray(array, np.float64).ravel()
    n = flat.size
    probe = np.random.RandomState(n).standard_normal(n)
    norm = np.linalg.norm(flat)
    product = flat @ probe
    entries = flat[[0, n // 3, 2 * n // 3, n - 1]]
    return np.array([norm, product, *entries])


# Masks


def n_positions(n_timepoints: int, kind: str = "discrete") -> int:
    """Return the number of rfft bins, or of time points."""
    if kind == "temporal":
        return n_timepoints
    return n_timepoints // 2 + 1


def removed_range(mask_ratio: tuple[float, float], n_positions: int) -> tuple[int, int]:
    """Return the fewest and the most positions that a mask removes, both included."""
    low, high = mask_ratio
    return round(low * n_positions), round(high * n_positions)


def target_series(series: Array, mask: Array, kind: str = "discrete") -> Array:
    """Return one series (n_channels, n_timepoints) without what one mask (n_positions,) removes."""
    if kind == "temporal":
        return series * mask
    n_timepoints = series.shape[-1]
    spectrum = np.fft.rfft(series) * mask
    return np.fft.irfft(spectrum, n=n_timepoints)


def mask_prompt(mask: Array, prompts: Array) -> Array:
    """Return the sum of the removed positions' prompts over the root of their number."""
    removed = 1.0 - mask
    n_removed = removed.sum(axis=-1, keepdims=True)
    return removed @ prompts / (np.sqrt(n_removed) + 1e-6)


def prompts_at(
    prompts: Array, n_timepoints: int, reference_length: int, kind: str = "discrete"
) -> Array:
    """Return prompts for series of another length, linear between those of the reference length.

    Positions are compared by their frequency in cycles per time point. Masked time points are
    compared by their share of the series' duration.
    """
    if kind == "temporal":
        duration = max(n_timepoints - 1, 1)
        reference_duration = max(reference_length - 1, 1)
    else:
        duration = n_timepoints
        reference_duration = reference_length
    wanted = np.arange(n_positions(n_timepoints, kind)) / duration
    known = np.arange(len(prompts)) / reference_duration
    columns = [np.interp(wanted, known, column) for column in prompts.T]
    return np.stack(columns, axis=1)


# Layers


def gelu(x: Array) -> Array:
    """Return the exact GELU."""
    return 0.5 * x * (1.0 + erf(x / np.sqrt(2.0)))


def linear(x: Array, params: Parameters, name: str) -> Array:
    """Return an affine map of the last axis."""
    weight = params[f"{name}.weight"]
    bias = params[f"{name}.bias"]
    return x @ weight.T + bias


def conv1d(x: Array, weight: Array, stride: int = 1) -> Array:
    """Return the cross-correlation of (in, T) with (out, in, k), padded by k // 2 zeros."""
    kernel_size = weight.shape[2]
    half = kernel_size // 2
    padded = np.pad(x, ((0, 0), (half, half)))
    columns = []
    for start in range(0, x.shape[1], stride):
        window = padded[:, start : start + kernel_size]
        columns.append(np.einsum("oik,ik->o", weight, window))
    return np.stack(columns, axis=1)


def avg_pool(x: Array) -> Array:
    """Return means of pairs of steps, without an odd last step."""
    n_pairs = x.shape[1] // 2
    pairs = x[:, : 2 * n_pairs].reshape(len(x), n_pairs, 2)
    return pairs.mean(axis=2)


def batch_norm(x: Series, params: Parameters, name: str, training: bool) -> Series:
    """Return the batch norm over series and time.

    In training mode the running statistics in `params` move.
    """
    mean = params[f"{name}.running_mean"]
    variance = params[f"{name}.running_var"]
    if training:
        values = np.concatenate(x, axis=1)
        unbiased = values.var(axis=1, ddof=1)
        params[f"{name}.running_mean"] = moved(mean, values.mean(axis=1))
        params[f"{name}.running_var"] = moved(variance, unbiased)
        mean = values.mean(axis=1)
        variance = values.var(axis=1)
    scale = params[f"{name}.weight"] / np.sqrt(variance + BATCH_NORM_EPS)
    bias = params[f"{name}.bias"]
    return [(s - mean[:, None]) * scale[:, None] + bias[:, None] for s in x]


def moved(running: Array, own: Array) -> Array:
    """Return a running statistic after a batch."""
    return (1.0 - BATCH_NORM_RATE) * running + BATCH_NORM_RATE * own


# Encoder


def residual_block(x: Series, params: Parameters, name: str, stride: int, training: bool) -> Series:
    """Return conv - norm - GELU - conv - norm, plus the shortcut, then GELU."""

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
    """Return the maps of the four stages.

    In training mode the running statistics in `params` move.
    """
    weight = params[f"{prefix}stem.conv.weight"]
    convolved = [conv1d(s, weight) for s in series]
    normalised = batch_norm(convolved, params, f"{prefix}stem.norm", training)
    x = [avg_pool(gelu(s)) for s in normalised]
    maps = []
    for stage in range(N_STAGES):
        strides = [stride, *[1] * (N_BLOCKS - 1)]
        for block, block_stride in enumerate(strides):
            name = f"{prefix}blocks.{stage}.{block}"
            x = residual_block(x, params, name, block_stride, training)
        maps.append(x)
    return maps


def embed(series: Series, params: Parameters, prefix: str, stride: int, training: bool) -> Array:
    """Return the mean over time of the last stage's map, of shape (n_samples, width)."""
    maps = encode(series, params, prefix=prefix, stride=stride, training=training)
    return np.stack([s.mean(axis=1) for s in maps[-1]])


# Objective


class Reference(NamedTuple):
    """Inferences and losses of both branches; arrays have the shape (n_samples, n_targets, d)."""

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
    """Return linear, GELU, linear."""
    hidden = gelu(linear(x, params, f"{name}.0"))
    return linear(hidden, params, f"{name}.2")


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
    """Return the losses of a batch. In training mode the running statistics in `params` move.

    Parameters
    ----------
    series : list of ndarray of shape (n_channels, n_timepoints)
        The batch.
    masks : sequence of ndarray of shape (n_targets, n_positions)
        Masks of each series.
    params : dict of ndarray
        The objective's state dict.
    kind : {"discrete", "continuous", "temporal"}, default="discrete"
        Kind of mask.
    stride : int, default=2
        Stride of the encoder's stages.
    training : bool, default=True
        Whether batch norm uses the batch's own statistics.
    prompts : sequence of ndarray of shape (n_positions, d), default=None
        Prompts for each series. None means the learned ones, for series of the reference length.

    Returns
    -------
    Reference
        The inferences, their targets, and the losses.
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
    """Return the momentum: linear from `start` at step 0 to 1 at the end of the run."""
    return start + step * (1.0 - start) / n_steps


def moved_target(target: Array, online: Array, momentum: float) -> Array:
    """Return the exponential moving average."""
    return momentum * target + (1.0 - momentum) * online
