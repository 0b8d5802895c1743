"""Methods of an estimator that save it to folders and model hubs, and load it from there."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import cast

from sklearn.utils.validation import check_is_fitted

from fei_sklearn._saving.folder import read_folder, write_folder
from fei_sklearn._saving.hub import upload
from fei_sklearn._saving.names import BUNDLED, locate
from fei_sklearn._saving.state import FittedEmbedder, from_folder, to_folder


class SavingMixin:
    """`save` and `load` for an estimator whose fitted state is arrays and plain values."""

    def save(self, path):
        """Write the fitted estimator to a folder, as safetensors and JSON.

        A process that is killed, or interrupted, leaves the older model or the newer one.

        Parameters
        ----------
        path : path-like
            The folder. It is made if it does not exist; a model in it is replaced. The file
            ``model.safetensors`` in it is the whole model, and ``config.json`` a copy of its
            configuration to be read by people.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        ValueError
            If the folder cannot be written.
        """
        check_is_fitted(self)
        config, weights = copy.copy(self)._to_folder()  # a thread may fit it again meanwhile
        write_folder(path, config, weights)

    def _to_folder(self):
        """Return configuration and arrays."""
        return to_folder(cast(FittedEmbedder, self))

    @classmethod
    def load(cls, path, *, device="auto", encoder=None):
        """Read an estimator that `save` wrote. No code in the folder is executed.

        Parameters
        ----------
        path : path-like
            The folder. The configuration is read from ``model.safetensors``; changes of
            ``config.json`` have no effect, except that a model of a version that kept its
            configuration there alone is refused if it was altered.
        device : str, default="auto"
            Device of the loaded estimator.
        encoder : callable, default=None
            The builder of the encoder, if the embedder was fitted with one: code is not saved.

        Returns
        -------
        estimator
            The fitted estimator, of the class whose method this is.

        Raises
        ------
        ValueError
            If there is no model, or one that is damaged, of another kind, or of a newer format.
        """
        config, arrays = read_folder(path)
        estimator = cls._from_folder(config, arrays, encoder)
        return estimator.set_params(device=device)

    @classmethod
    def _from_folder(cls, config, arrays, encoder):
        """Return a fitted estimator from configuration and arrays."""
        return from_folder(cls, config, arrays, encoder=encoder)

    @classmethod
    def from_pretrained(
        cls,
        name_or_path="default",
        *,
        device="auto",
        encoder=None,
        revision=None,
    ):
        """Load a model by folder, by the name of a bundled checkpoint, or from a model hub.

        Parameters
        ----------
        name_or_path : str or path-like, default="default"
            A folder that `save` wrote, a bundled checkpoint, or "owner/name" on the Hugging Face
            hub (needs the extra ``hub``). If there is a folder "owner", the name is a path.
            "default" is the recommended checkpoint. The bundled checkpoints store no scaling:
            `transform` standardises each series by itself. `fit` of the loaded estimator would
            train new weights; ``FEIEmbedder(pretrained=name)`` takes the scaling of its panel and
            keeps the weights.
        device, encoder
            As in `load`.
        revision : str, default=None
            Branch, tag or commit of a model on the hub, which never changes if it is a commit.

        Returns
        -------
        estimator
            The fitted estimator, of the class whose method this is.

        Raises
        ------
        ValueError
            If there is no such model, or a damaged one.
        """
        folder = locate(name_or_path, revision=revision)
        estimator = cls.load(folder, device=device, encoder=encoder)
        if folder.parent == BUNDLED:  # trained on a synthetic corpus
            estimator._is_trained_elsewhere = True
        return estimator

    def push_to_hub(self, repo_id, *, private=False, token=None):
        """Upload the fitted estimator to the Hugging Face hub (needs the extra ``hub``).

        Parameters
        ----------
        repo_id : str
            "owner/name".
        private : bool, default=False
            Whether a new repository is private.
        token : str or None, default=None
            Access token; None uses the one of the last login.

        Returns
        -------
        str
            Address of the model.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        ValueError
            If the package huggingface_hub is missing.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save(folder)
            return upload(Path(folder), repo_id, private=private, token=token)
