"""
FEI embeddings, classified and regressed
========================================

This example embeds real sets that sktime ships: once with a bundled checkpoint of
:class:`~fei_sklearn.FEIEmbedder`, and once with an encoder that is pretrained on the set itself,
without labels. It puts scikit-learn heads on the embeddings, and compares them with the same heads
on an untrained encoder, on the raw series, and on MiniRocket. Then it searches over mask ratios as
over any other parameter.

Run it with ``make demo``. It prints a table and writes ``quickstart.png``.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sktime.datasets import load_gunpoint, load_italy_power_demand, load_tecator
from sktime.transformations.panel.rocket import MiniRocket

from fei_sklearn import FEIEmbedder

#: Loader, metric, and parameters of the embedder for each set. Spectra of meat (Tecator) differ by
#: offsets that mean nothing, so each is scaled by itself.
SETS = {
    "ItalyPowerDemand": (load_italy_power_demand, "accuracy", {}),
    "GunPoint": (load_gunpoint, "accuracy", {}),
    "Tecator (fat)": (load_tecator, "R2", {"scaling": "series"}),
}


class MiniRocketFeatures(TransformerMixin, BaseEstimator):
    """sktime's MiniRocket as a scikit-learn transformer of 3-D panels."""

    def fit(self, X, y=None):
        """Fit the biases on the panel."""
        self.rocket_ = MiniRocket(random_state=0).fit(X)
        return self

    def transform(self, X):
        """Return the features of the panel, (n_samples, 9996)."""
        return self.rocket_.transform(X).to_numpy()


def features(random_state, **options):
    """Return the five kinds of features that are compared, by name."""
    # one thread: several are no faster on sets this small, and far slower on a busy machine
    options = {"n_jobs": 1} | options
    return {
        "default": FEIEmbedder(pretrained="default", n_jobs=1),
        "from scratch": FEIEmbedder(random_state=random_state, **options),
        "untrained": FEIEmbedder(max_epochs=0, random_state=random_state, **options),
        "raw series": FunctionTransformer(lambda X: X.reshape(len(X), -1)),
        "MiniRocket": MiniRocketFeatures(),
    }


def load(loader):
    """Return the training and test part of a set that sktime ships, as 3-D arrays."""
    X_train, y_train = loader(split="train", return_type="numpy3d")
    X_test, y_test = loader(split="test", return_type="numpy3d")
    return X_train, y_train, X_test, y_test


def head(metric):
    """Return the head, which is the same for all features of a set."""
    if metric == "accuracy":
        return LogisticRegression(max_iter=1000)
    return RidgeCV(alphas=np.logspace(-3, 4, 15))


def compare(random_state=0):
    """Return the test score of each kind of features on each set, and the fitted FEI pipelines."""
    scores = {}
    fitted = {}
    for set_name, (loader, metric, options) in SETS.items():
        X_train, y_train, X_test, y_test = load(loader)
        for name, transformer in features(random_state, **options).items():
            started = time.perf_counter()
            model = make_pipeline(transformer, StandardScaler(), head(metric))
            model.fit(X_train, y_train)
            scores[set_name, name] = model.score(X_test, y_test)
            seconds = time.perf_counter() - started
            print(f"  {set_name:<18}{name:<14}{seconds:6.1f} s", flush=True)
            if name == "from scratch":
                fitted[set_name] = model
    return scores, fitted


def print_table(scores):
    """Print the scores, one row per set."""
    names = list(features(0))
    print(f"\n{'':<18}{'metric':<10}" + "".join(f"{name:>14}" for name in names))
    for set_name, (_, metric, _) in SETS.items():
        row = "".join(f"{scores[set_name, name]:14.3f}" for name in names)
        print(f"{set_name:<18}{metric:<10}{row}")


def search_mask_ratio(random_state=0):
    """Search over mask ratios by cross-validation on the training part."""
    X_train, y_train, X_test, y_test = load(load_italy_power_demand)
    pipeline = make_pipeline(
        FEIEmbedder("tiny", pooling="mean", max_epochs=20, n_jobs=1, random_state=random_state),
        StandardScaler(),
        LogisticRegression(max_iter=1000),
    )
    search = GridSearchCV(pipeline, {"feiembedder__mask_ratio": [0.3, 0.5, 0.7]}, cv=3, n_jobs=2)
    print("\nGrid search over mask ratios, ItalyPowerDemand, encoder tiny:", flush=True)
    search.fit(X_train, y_train)
    ratios = search.cv_results_["param_feiembedder__mask_ratio"]
    scores = search.cv_results_["mean_test_score"]
    for ratio, score in zip(ratios, scores, strict=True):
        print(f"  mask_ratio={ratio}: {score:.3f} (3-fold accuracy)")
    accuracy = search.score(X_test, y_test)
    print(f"  best {search.best_params_}, test accuracy {accuracy:.3f}")


def draw(model, path):
    """Draw the training curve, and GunPoint's embeddings in two dimensions."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from sklearn.decomposition import PCA

    *_, X_test, y_test = load(load_gunpoint)
    embedder = model[0]
    embeddings = model[:-1].transform(X_test)  # embedded and scaled
    points = PCA(2).fit_transform(embeddings)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    epochs = [record["epoch"] for record in embedder.history_]
    losses = {"embedding inference": "train_embedding_loss", "mask inference": "train_mask_loss"}
    for label, key in losses.items():
        values = [record[key] for record in embedder.history_]
        left.plot(epochs, values, label=label)
    left.set(xlabel="epoch", ylabel="loss", title="Pretraining on GunPoint, no labels")
    left.legend()
    for label in np.unique(y_test):
        x, y = points[y_test == label].T
        right.scatter(x, y, s=14, label=f"class {label}")
    right.set(xlabel="first component", ylabel="second component", title="Test embeddings (PCA)")
    right.legend()
    figure.savefig(path, dpi=120)
    print(f"\nPicture: {path}")


def main():
    """Run the comparison, the search, and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture", default="quickstart.png")
    args = parser.parse_args()
    warnings.filterwarnings("ignore", category=FutureWarning)
    print("Fitting (features, scaling, head) on three real sets:")
    scores, fitted = compare()
    print_table(scores)
    search_mask_ratio()
    draw(fitted["GunPoint"], args.picture)


if __name__ == "__main__":
    main()
