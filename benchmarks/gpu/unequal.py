"""Series of unequal length: a fit on the device, and its embeddings there and on the CPU."""

from __future__ import annotations

from fei_sklearn import FEIEmbedder
from gpu.estimators import TOLERANCE
from gpu.panels import difference, of_unequal_length, sines
from gpu.setting import Setting

ENCODERS = (64, "dilated")


def fit_and_compare(setting: Setting) -> str:
    """Return the differences of the embeddings, or raise if one is too large."""
    X, _ = sines(96)
    series = of_unequal_length(X)
    sentences = []
    for encoder in ENCODERS:
        embedder = FEIEmbedder(encoder, max_epochs=2, random_state=0, device=setting.device)
        on_device = embedder.fit(series).transform(series)
        on_cpu = embedder.set_params(device="cpu").transform(series)
        apart = difference(on_device, on_cpu)
        sentence = f"encoder={encoder!r}: {apart:.1e} standard deviations apart."
        if apart > TOLERANCE:
            raise ArithmeticError(f"{sentence} At most {TOLERANCE} was expected.")
        sentences.append(f"- {sentence}")
    return "\n".join(["Embeddings here and on the CPU:", "", *sentences])
