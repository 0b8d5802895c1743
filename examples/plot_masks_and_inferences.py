"""
The paper's two pictures
========================

FEI removes frequencies from a series, and infers the embedding of what is left. The first picture
shows a mask and its target series. The second one shows embeddings of series that the encoder was
never trained on, of their target series, and those that FEI infers from the series and the mask.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
from sktime.datasets import load_gunpoint

from fei_sklearn import FEIEmbedder
from fei_sklearn.displays import InferenceDisplay, MaskingDisplay

X_train, _ = load_gunpoint(split="train", return_type="numpy3d")
X_test, _ = load_gunpoint(split="test", return_type="numpy3d")

# %%
# A mask and its target series
# ----------------------------

MaskingDisplay.from_estimator(FEIEmbedder(mask_ratio=(0.3, 0.6)), X_test[0, 0], random_state=1)
plt.show()

# %%
# Inferences on series never trained on
# -------------------------------------
# ``partial_fit`` trains an epoch at a time, and keeps the momentum copies that embed the target
# series. After so few epochs the inferred embeddings have mostly learnt the offset that target
# series share, not yet what tells one target from another.

embedder = FEIEmbedder(random_state=0)
for _ in range(25):
    embedder.partial_fit(X_train)
loss = embedder.history_[-1]["train_loss"]
print(f"loss after {len(embedder.history_)} epochs: {loss:.3f}")
InferenceDisplay.from_estimator(embedder, X_test)
plt.show()
