"""
A search over the share of removed frequencies in an sktime pipeline
====================================================================

:class:`~fei_sklearn.adapters.sktime.FEITransformer` times a scikit-learn classifier is an sktime
classifier, and ``TSCGridSearchCV`` varies its mask ratio like any parameter. The series are days of
electric power in Italy, in sktime's own nested frames; the classes are summer and winter.

Run it with ``python examples/plot_sktime_classification.py``. It takes half a minute.
"""

from __future__ import annotations

from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sktime.classification.model_selection import TSCGridSearchCV
from sktime.datasets import load_italy_power_demand

from fei_sklearn.adapters.sktime import FEITransformer

#: Name of the transformer's parameter inside the classifier.
MASK_RATIO = "FEITransformer__mask_ratio"
MASK_RATIOS = [0.1, 0.3, 0.5, 0.7, 0.9]


def main(mask_ratios=MASK_RATIOS, **params):
    """Search over mask ratios and print a table; `params` go to the transformer."""
    X_train, y_train = load_italy_power_demand(split="train", return_type="nested_univ")
    X_test, y_test = load_italy_power_demand(split="test", return_type="nested_univ")

    params = {"encoder": "tiny", "pooling": "mean", "max_epochs": 5, "random_state": 0} | params
    head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model = FEITransformer(**params) * head
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    search = TSCGridSearchCV(model, {MASK_RATIO: mask_ratios}, cv=folds)
    search.fit(X_train, y_train)

    print("mask ratio  accuracy in cross-validation")
    results = search.cv_results_
    for tried, score in zip(results["params"], results["mean_test_score"], strict=True):
        print(f"{tried[MASK_RATIO]:10.1f}  {score:.3f}")
    best = search.best_params_[MASK_RATIO]
    accuracy = search.score(X_test, y_test)
    print(f"\nBest: {best}, with accuracy {accuracy:.3f} on the test series.")


if __name__ == "__main__":
    main()
