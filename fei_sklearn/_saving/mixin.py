"""Fitted embedders to and from folders and model hubs."""

from __future__ import annotations

import tempfile
from pathlib import Path

from sklearn.utils.validation import check_is_fitted

from fei_sklearn._saving import folder as _persistence
from fei_sklearn._saving import state as _state


class SavingMixin:
    """`save` and `load`, as safetensors and JSON, for an estimator whose fitted state is arrays."""

    def save(self, path):
        """Write the fitted embedder to a folder, as safetensors and JSON.

        Parameters
        ----------
        path : path-like
            The folder. It is made if it does not exist; a model in it is replaced.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        ValueError
            If the folder cannot be written.
        """
        check_is_fitted(self)
        config, weights = _state.to_folder(self)
        _persistence.write_folder(path, config, weights)

    @classmethod
    def load(cls, path, *, device="auto", encoder=None):
        """Read an embedder that `save` wrote. No code in the folder is executed.

        Parameters
        ----------
        path : path-like
            The folder.
        device : str, default="auto"
            Device of the loaded embedder.
        encoder : callable, default=None
            The builder of the encoder, if the embedder was fitted with one: code is not saved.

        Returns
        -------
        FEIEmbedder
            The fitted embedder.

        Raises
        ------
        ValueError
            If there is no model, or one that is damaged, of another kind, or of a newer format.
        """
        embedder = _state.from_folder(cls, *_persistence.read_folder(path), encoder=encoder)
        return embedder.set_params(device=device)

    @classmethod
    def from_pretrained(cls, name_or_path, *, device="auto", encoder=None):
        """Load a model by folder, by the name of a bundled checkpoint, or from a model hub.

        Parameters
        ----------
        name_or_path : str or path-like
            A folder that `save` wrote, a bundled checkpoint, or "owner/name" on the Hugging Face
            hub (needs the extra ``hub``).
        device, encoder
            As in `load`.

        Returns
        -------
        FEIEmbedder
            The fitted embedder.

        Raises
        ------
        ValueError
            If there is no such model, or a damaged one.
        """
        return cls.load(_persistence.locate(name_or_path), device=device, encoder=encoder)

    def push_to_hub(self, repo_id, *, private=False, token=None):
        """Upload the fitted embedder to the Hugging Face hub (needs the extra ``hub``).

        Parameters
        ----------
        repo_id : str
            "owner/name".
        private : bool, default=False
            Whether a new repository is private.
        token : str or None, default=None
            Access token; None takes the one you logged in with.

        Returns
        -------
        str
            Address of the model.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save(folder)
            return _persistence.upload(Path(folder), repo_id, private=private, token=token)
