"""FEICollectionTransformer: embeddings of collections, for aeon."""

from __future__ import annotations

try:
    from aeon.transformations.collection import BaseCollectionTransformer
except ModuleNotFoundError as error:
    if not (error.name or "").startswith("aeon"):
        raise
    raise ImportError(
        "fei_sklearn.adapters.aeon needs aeon: pip install aeon, in an environment of its own if "
        "another package there needs a newer numba."
    ) from error

from fei_sklearn import FEIEmbedder
from fei_sklearn._transform import plain_embeddings
from fei_sklearn.adapters._parameters import parameters_of

__all__ = ["FEICollectionTransformer"]


# aeon demands equal results for any n_jobs, and more of torch's threads sum in another order
@parameters_of(FEIEmbedder, without=("n_jobs",))
class FEICollectionTransformer(BaseCollectionTransformer):
    """Embeddings of time series by Frequency-masked Embedding Inference, for aeon.

    `fit` pretrains an encoder on a collection, without labels; `transform` returns one row per
    series. The rows are those of :class:`fei_sklearn.FEIEmbedder` on the same series. aeon's
    collections name neither channels nor series, so both are matched by position.

    Parameters
    ----------
    encoder, objective, mask_ratio, mask_kind, n_targets, momentum, stride, channels, scaling, \
min_timepoints, pooling, layers, views, n_components, calibration, max_epochs, min_epoch_steps, \
batch_size, learning_rate, lr_decay, validation_fraction, n_iter_no_change, warm_start, \
pretrained, device, n_devices, precision, checkpoint_dir, random_state, verbose
        As in :class:`fei_sklearn.FEIEmbedder`.

    Attributes
    ----------
    embedder_ : FEIEmbedder
        The fitted embedder.

    Examples
    --------
    >>> from aeon.datasets import load_unit_test
    >>> from fei_sklearn.adapters.aeon import FEICollectionTransformer
    >>> X, y = load_unit_test(split="train")
    >>> transformer = FEICollectionTransformer("tiny", max_epochs=2, random_state=0)
    >>> transformer.fit_transform(X).shape
    (20, 14496)
    """

    _tags = {
        "X_inner_type": ["np-list", "numpy3D"],
        "output_data_type": "Tabular",
        "algorithm_type": "deeplearning",
        "capability:multivariate": True,
        "capability:unequal_length": True,
        "capability:missing_values": True,
        "python_dependencies": "torch",
    }

    def reset(self, keep=None):
        """Delete fitted attributes; with `warm_start` the embedder is kept, to be trained on."""
        embedder = None
        if self.warm_start:
            embedder = vars(self).get("embedder_")
        super().reset(keep)
        if embedder is not None:
            self.embedder_ = embedder
        return self

    def _fit(self, X, y=None):
        embedder = vars(self).get("embedder_") or FEIEmbedder()
        embedder.set_params(**self.get_params(deep=False))
        self.embedder_ = embedder.fit(X)
        return self

    def _transform(self, X, y=None):
        return plain_embeddings(self.embedder_, X)

    @classmethod
    def _get_test_params(cls, parameter_set="default"):
        """Return the parameters of the estimator that aeon's checks run on."""
        return {"encoder": 8, "max_epochs": 1, "min_epoch_steps": 1, "random_state": 0}
