"""Base class of classifier and regressor: an embedder and a head, fine-tuned end to end."""

from __future__ import annotations

import copy
import os
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
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from fei_sklearn import _specs
from fei_sklearn._bridge.first_head import first_head
from fei_sklearn._bridge.spec import FinetuningSpec, MachineSpec, OptimisationSpec
from fei_sklearn._embedder import FEIEmbedder
from fei_sklearn._fitting.callbacks import CallbackSupportMixin
from fei_sklearn._fitting.printing import printers
from fei_sklearn._fitting.rollback import twin
from fei_sklearn._fitting.watchers import Watchers
from fei_sklearn._input.checks import check_fits, check_panel, share_features
from fei_sklearn._input.numbers import Number
from fei_sklearn._input.targets import plain_weights
from fei_sklearn._saving.fine_tuned import tuner_from_folder, tuner_to_folder
from fei_sklearn._saving.mixin import SavingMixin
from fei_sklearn._warnings import warn

# The methods that compute import torch, with modules of fei_sklearn._bridge.

#: Embeddings that are converted to float64 at once.
ROWS_AT_ONCE = 256

#: Minimum number of series that validate; where fewer would, all series train.
MIN_VALIDATION = 8


class FineTuner(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    SavingMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Embedder and linear head, without the encoding of the targets.

    Parameters and attributes are those that :class:`fei_sklearn.FEIClassifier` and
    :class:`fei_sklearn.FEIRegressor` document.
    """

    _doc_link_module = "fei_sklearn"
    _doc_link_template = FEIEmbedder._doc_link_template

    _parameter_constraints = {
        "embedder": [FEIEmbedder, FrozenEstimator, str, os.PathLike, None],
        "freeze_encoder": ["boolean"],
        "warm_head": ["boolean"],
        "batch_size": [Number(Integral, 1, None, closed="left")],
        "max_epochs": [Number(Integral, 0, None, closed="left")],
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

    def _finetune(self, X, values, y, callbacks, *, class_weight=None, sample_weight=None):
        """Fit embedder and head on series and their encoded targets.

        Parameters
        ----------
        X : array-like
            Series as the user gave them.
        values : ndarray or StoredPanel
            The same series, validated.
        y : ndarray of shape (n_samples,), int64, or (n_samples, n_outputs), float32
            Classes from 0, or standardised targets.
        callbacks : EpochCallbacks
            Watcher of the fine-tuning.
        class_weight : ndarray of shape (n_classes,), default=None
            Weights of the classes.
        sample_weight : ndarray of shape (n_samples,), float64, default=None
            Weights of the series.
        """
        from fei_sklearn._bridge.encoding import embed_values
        from fei_sklearn._bridge.finetuning import check_batches, finetune

        random_state = check_random_state(self.random_state)
        embedder, panel = self._fitted_embedder(X, values, random_state)
        if not self.freeze_encoder:
            check_batches(self._optimisation_spec(), panel)
        encoding = _specs.encoding_spec(embedder)
        features = embed_values(encoding, values, panel=panel)
        counted = _counted_rows(y, class_weight, sample_weight)
        training, validating = self._split(y[counted], random_state)
        rows = counted[training]
        held_out = counted[validating]
        head = first_head(  # on the rows that train: others would not be held out any more
            features,
            y,
            rows=rows,
            warm=self.warm_head,
            n_classes=None if y.ndim == 2 else int(y.max()) + 1,  # the last may only validate
            class_weight=class_weight,
            sample_weight=sample_weight,
            one_scale=_specs.gives_principal_axes(embedder),
        )
        weights = None
        if sample_weight is not None:
            weights = _loss_weights(y, class_weight, sample_weight, rows)
            class_weight = None
        spec = self._finetuning_spec(class_weight, int(random_state.randint(2**31 - 1)))
        panel = self._training_panel(panel, features, y, weights)
        del features  # unless they are the panel, their memory serves the training
        outcome = finetune(
            spec,
            encoding,
            panel,
            head,
            rows,
            held_out,
            Watchers([callbacks, *printers(self, self.max_epochs)]),
        )
        if not self.freeze_encoder:
            embedder.weights_ = embedder.weights_ | outcome.weights
        self.embedder_ = embedder
        self.coef_, self.intercept_ = outcome.head.on_features()
        self.history_ = outcome.history
        self.n_iter_ = len(outcome.history)
        self.best_epoch_ = outcome.best_epoch

    def _fitted_embedder(self, X, values, random_state):
        """Return a fitted embedder whose weights may change, and the panel of the series."""
        given = self.embedder
        if isinstance(given, FrozenEstimator):
            fitted = given.estimator
            if not isinstance(fitted, FEIEmbedder) or not hasattr(fitted, "weights_"):
                raise ValueError(
                    f"embedder must wrap a fitted FEIEmbedder, got {given!r}: fit it first."
                )
            check_fits(fitted, X)
            fitted._validate_params()  # the readout may have been set since its fit
            panel = _specs.fitted_input(fitted).panel(values)
            return copy.deepcopy(fitted), panel
        if given is None:
            given = FEIEmbedder()
        elif not isinstance(given, FEIEmbedder):
            given = FEIEmbedder(pretrained=given)
        elif hasattr(given, "weights_"):
            warn(
                "The embedder is fitted already and is pretrained again on X, as in any "
                "meta-estimator: wrap it in sklearn.frozen.FrozenEstimator to start from its "
                "weights."
            )
        embedder = clone(given)
        embedder._validate_params()
        if embedder.pooling is None:
            raise ValueError(
                "pooling=None gives no vector for a head to work on: give the embedder "
                "pooling='mean', 'max', 'std' or a tuple of these."
            )
        if embedder.random_state is None:
            embedder.set_params(random_state=int(random_state.randint(2**31 - 1)))
        share_features(self, embedder)
        panel = embedder._pretrain(X, values)
        return embedder, panel

    def _optimisation_spec(self):
        """Return the optimisation that the parameters describe."""
        return OptimisationSpec(
            max_epochs=self.max_epochs,
            min_epoch_steps=self.min_epoch_steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            lr_decay=self.lr_decay,
            n_iter_no_change=self.n_iter_no_change,
            precision=self.precision,
        )

    def _finetuning_spec(self, class_weight, seed):
        """Return the fine-tuning that the parameters describe."""
        return FinetuningSpec(
            freeze_encoder=self.freeze_encoder,
            optimisation=self._optimisation_spec(),
            machine=MachineSpec(self.device, n_jobs=self.n_jobs),
            class_weight=class_weight,
            seed=seed,
        )

    def _training_panel(self, panel, features, y, weights):
        """Return series and targets, or the features in their place for a frozen encoder."""
        from fei_sklearn.data import Panel

        if self.freeze_encoder:
            return Panel(features[:, :, np.newaxis], None, y, weights)
        return Panel(panel.values, panel.lengths, y, weights)

    def _split(self, y, random_state):
        """Draw rows that train, of every class at least one, and rows that validate."""
        rows = np.arange(len(y))
        n_held_out = 0
        if self.max_epochs:
            n_held_out = round((self.validation_fraction or 0.0) * len(y))
        available = rows
        stratify = None
        n_strata = 1
        if y.ndim == 1:
            available = _rows_that_may_validate(y, random_state)
            stratify = y[available]
            n_strata = len(np.unique(stratify))
        too_few_validate = n_held_out < max(MIN_VALIDATION, n_strata)
        too_few_train = len(available) < n_held_out + n_strata
        if too_few_validate or too_few_train:
            return rows, rows[:0]
        _, held_out = train_test_split(
            available, test_size=n_held_out, stratify=stratify, random_state=random_state
        )
        return np.setdiff1d(rows, held_out), np.sort(held_out)

    def _embed(self, X):
        """Return the fine-tuned embeddings of series."""
        check_is_fitted(self)
        values = check_panel(self, X, reset=False)
        from fei_sklearn._bridge.encoding import embed_values

        return embed_values(_specs.encoding_spec(self.embedder_), values)

    def _outputs(self, X):
        """Return the outputs of the head, in float64."""
        embeddings = self._embed(X)
        outputs = np.empty((len(embeddings), len(self.intercept_)))
        for start in range(0, len(embeddings), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            outputs[rows] = embeddings[rows].astype(np.float64) @ self.coef_.T + self.intercept_
        return outputs

    def transform(self, X):
        """Return fine-tuned embeddings.

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
        ValueError
            If `X` has other dimensions or channels than in `fit`, or holds infinities.
        """
        return twin(self)._embed(X)

    def _to_folder(self):
        return tuner_to_folder(self)

    @classmethod
    def _from_folder(cls, config, arrays, encoder):
        return tuner_from_folder(cls, FEIEmbedder, config, arrays, encoder)

    def get_feature_names_out(self, input_features=None):
        """Return the names of the features, as the fine-tuned embedder has them."""
        check_is_fitted(self)
        if _specs.encoding_spec(self.embedder_).feature_names is None:
            return super().get_feature_names_out(input_features)
        return self.embedder_.get_feature_names_out()

    @property
    def _n_features_out(self):
        return self.embedder_._n_features_out


def checked_weights(sample_weight, values):
    """Return weights of series relative to the largest, in float64, or None of None.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, all are zero, or there is not one per series.
    """
    if sample_weight is None:
        return None
    weights = _check_sample_weight(
        plain_weights(sample_weight), values, dtype=np.float64, ensure_non_negative=True
    )
    largest = weights.max()
    if largest == 0:
        raise ValueError("sample_weight is 0 for every series: give one of them a positive weight.")
    return weights / largest


def _counted_rows(y, class_weight, sample_weight):
    """Return the rows of positive weight, which alone train and validate."""
    counts = np.ones(len(y), dtype=bool)
    if class_weight is not None:
        counts &= class_weight[y] > 0
    if sample_weight is not None:
        counts &= sample_weight > 0
    if not counts.any():
        raise ValueError(
            "class_weight and sample_weight together give every series the weight 0: give one of "
            "them a positive weight."
        )
    return np.flatnonzero(counts)


def _loss_weights(y, class_weight, sample_weight, rows):
    """Return the weight of each series in the loss, of mean 1 over the rows that train."""
    weights = sample_weight
    if class_weight is not None:
        weights = weights * class_weight[y]
    return (weights / weights[rows].mean()).astype(np.float32)


def _rows_that_may_validate(y, random_state):
    """Return rows of classes of at least three series, without one row of each class."""
    order = random_state.permutation(np.arange(len(y)))
    _, first_of_class = np.unique(y[order], return_index=True)
    others = np.setdiff1d(np.arange(len(y)), order[first_of_class])
    n_of_class = np.bincount(y[others], minlength=1)
    return others[n_of_class[y[others]] > 1]
