"""What fine-tuners share: an embedder and a head, trained end to end."""

from __future__ import annotations

import copy
import os
import warnings
from numbers import Integral

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    clone,
)
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from fei_sklearn._embedder import FEIEmbedder
from fei_sklearn._fitting import CallbackSupportMixin, Watchers, printers
from fei_sklearn._input.checks import check_panel

# torch is imported with fei_sklearn._bridge.finetuning, in the methods that compute.

#: Fewest series that validate; a panel that would give fewer trains on all of them.
MIN_VALIDATION = 8


class FineTuner(
    CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """What the classifier and the regressor share: the embedder, the run, the features."""

    _doc_link_module = "fei_sklearn"
    _doc_link_template = FEIEmbedder._doc_link_template

    _parameter_constraints = {
        "embedder": [FEIEmbedder, FrozenEstimator, str, os.PathLike, None],
        "freeze_encoder": ["boolean"],
        "warm_head": ["boolean"],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 0, None, closed="left")],
        **{
            name: FEIEmbedder._parameter_constraints[name]
            for name in (
                "min_epoch_steps",
                "learning_rate",
                "lr_decay",
                "validation_fraction",
                "n_iter_no_change",
                "device",
                "precision",
                "n_jobs",
                "random_state",
                "verbose",
            )
        },
    }

    def __init__(
        self,
        embedder=None,
        *,
        freeze_encoder=False,
        warm_head=True,
        max_epochs=50,
        min_epoch_steps=1,
        batch_size=32,
        learning_rate=1e-4,
        lr_decay="cosine",
        validation_fraction=0.1,
        n_iter_no_change=10,
        device="auto",
        precision="auto",
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.embedder = embedder
        self.freeze_encoder = freeze_encoder
        self.warm_head = warm_head
        self.max_epochs = max_epochs
        self.min_epoch_steps = min_epoch_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.lr_decay = lr_decay
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.device = device
        self.precision = precision
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    @property
    def _most_epochs(self):
        return self.max_epochs

    def _finetune(self, X, y, callbacks, *, class_weight=None):
        """Fit embedder and head on series and their encoded targets."""
        from fei_sklearn._bridge import finetuning as _supervised
        from fei_sklearn._bridge.first_head import first_head

        random_state = check_random_state(self.random_state)
        embedder = self._fitted_embedder(X, random_state)
        features = embedder.transform(X)
        panel = self._training_panel(embedder, X, features, y)
        rows, held_out = self._split(y, random_state)
        head = first_head(  # on the rows that train: others would not be held out any more
            features[rows].astype(np.float64),
            y[rows],
            warm=self.warm_head,
            n_classes=None if y.ndim == 2 else int(y.max()) + 1,  # the last may only validate
            class_weight=class_weight,
        )
        result = _supervised.finetune(
            self,
            embedder,
            panel,
            head,
            rows,
            held_out,
            class_weight=class_weight,
            seed=int(random_state.randint(2**31 - 1)),
            watcher=Watchers([callbacks, *printers(self)]),
        )
        if result.weights is not None:
            embedder.weights_ = embedder.weights_ | result.weights
        self.embedder_ = embedder
        self.coef_, self.intercept_ = result.head.on_features()
        self.history_ = result.history
        self.n_iter_ = len(result.history)
        self.best_epoch_ = result.best_epoch

    def _fitted_embedder(self, X, random_state):
        """A fitted embedder of our own, whose weights may change."""
        given = self.embedder
        if isinstance(given, FrozenEstimator):
            fitted = given.estimator
            if not isinstance(fitted, FEIEmbedder) or not hasattr(fitted, "weights_"):
                raise ValueError(
                    f"embedder must wrap a fitted FEIEmbedder, got {given!r}: fit it first."
                )
            return copy.deepcopy(fitted)
        if given is None:
            given = FEIEmbedder()
        elif not isinstance(given, FEIEmbedder):
            given = FEIEmbedder(pretrained=given)
        elif hasattr(given, "weights_"):
            warnings.warn(
                "The embedder is fitted already and is pretrained anew on X, as in any "
                "meta-estimator: wrap it in sklearn.frozen.FrozenEstimator to start from its "
                "weights.",
                stacklevel=5,
            )
        embedder = clone(given)
        if embedder.pooling is None:
            raise ValueError(
                "pooling=None gives no vector for a head to work on: give the embedder "
                "pooling='mean', 'max', 'std' or a tuple of these."
            )
        if embedder.random_state is None:
            embedder.set_params(random_state=int(random_state.randint(2**31 - 1)))
        return embedder.fit(X)

    def _training_panel(self, embedder, X, features, y):
        from fei_sklearn.data import Panel

        if self.freeze_encoder:
            return Panel(features[:, :, np.newaxis], targets=y)
        values = check_panel(embedder, X, reset=False)
        panel = embedder._panel(values)
        return Panel(panel.values, panel.lengths, y)

    def _split(self, y, random_state):
        """Rows that train, of every class at least one, and rows that validate."""
        rows = np.arange(len(y))
        n_held_out = round((self.validation_fraction or 0.0) * len(y)) if self.max_epochs else 0
        available, n_strata, stratify = rows, 1, None
        if y.ndim == 1:
            order = random_state.permutation(rows)
            trains_anyway = order[np.unique(y[order], return_index=True)[1]]
            others = np.setdiff1d(rows, trains_anyway)
            available = others[np.bincount(y[others], minlength=1)[y[others]] > 1]
            stratify, n_strata = y[available], len(np.unique(y))
        if n_held_out < max(MIN_VALIDATION, n_strata) or len(available) < n_held_out + n_strata:
            return rows, rows[:0]
        held_out = train_test_split(
            available, test_size=n_held_out, stratify=stratify, random_state=random_state
        )[1]
        return np.setdiff1d(rows, held_out), np.sort(held_out)

    def _embed(self, X):
        check_is_fitted(self)
        return self.embedder_._embed(check_panel(self, X, reset=False))

    def _outputs(self, X):
        return self._embed(X).astype(np.float64) @ self.coef_.T + self.intercept_

    def transform(self, X):
        """Fine-tuned embeddings.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timepoints) or \
(n_samples, n_channels, n_timepoints), or list of arrays of shape (n_channels, n_timepoints_i)
            Series.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out), float32
            Embeddings.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        """
        return self._embed(X)

    @property
    def _n_features_out(self):
        return self.embedder_._n_features_out
