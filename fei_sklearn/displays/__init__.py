"""Displays: pictures of a pretraining, its masks, its inferences and its embeddings.

They need matplotlib, the extra ``plot``, which is imported when something is drawn.
"""

from __future__ import annotations

from fei_sklearn.displays.embedding import EmbeddingDisplay
from fei_sklearn.displays.inference import InferenceDisplay
from fei_sklearn.displays.masking import MaskingDisplay
from fei_sklearn.displays.pretraining import PretrainingDisplay
from fei_sklearn.displays.relevance import RelevanceDisplay

__all__ = [
    "EmbeddingDisplay",
    "InferenceDisplay",
    "MaskingDisplay",
    "PretrainingDisplay",
    "RelevanceDisplay",
]
