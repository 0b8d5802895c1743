"""
How do I use it in sktime's pipelines and searches?
===================================================

:class:`~fei_sklearn.adapters.sktime.FEITransformer` times a scikit-learn classifier is an sktime
classifier, and sktime's ``TSCGridSearchCV`` varies the parameters of its parts. The series are days
of electric power in Italy, in sktime's own nested frames; the classes are summer and winter.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sktime.classification.model_selection import TSCGridSearchCV
from sktime.datasets import load_italy_power_demand

from fei_sklearn.adapters.sktime import FEITransformer

#: Name of the transformer's parameter inside the classifier.
MASK_RATIO = "FEITransformer__mask_ratio"

# %%
# The classifier
# --------------
# The mask ratio matters most to the paper's encoder and readout, which are used here.

transformer = FEITransformer("tiny", pooling="mean", max_epochs=5, random_state=0)
head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
model = transformer * head

# %%
# The search
# ----------

X_train, y_train = load_italy_power_demand(split="train", return_type="nested_univ")
X_test, y_test = load_italy_power_demand(split="test", return_type="nested_univ")
folds = StratifiedKFold(3, shuffle=True, random_state=0)
search = TSCGridSearchCV(model, {MASK_RATIO: [0.1, 0.4, 0.7]}, cv=folds)
search.fit(X_train, y_train)

results = search.cv_results_
ratios = [params[MASK_RATIO] for params in results["params"]]
means = results["mean_test_score"]
print("mask ratio  accuracy in cross-validation")
for ratio, mean in zip(ratios, means, strict=True):
    print(f"{ratio:10.1f}  {mean:.3f}")
accuracy = search.score(X_test, y_test)
print(
    f"\nBest: {search.best_params_[MASK_RATIO]}, with accuracy {accuracy:.3f} on the test series."
)

# %%
# Accuracy by mask ratio
# ----------------------
# Differences within the bars, one standard deviation over the folds, say nothing.

figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
axes.errorbar(ratios, means, yerr=results["std_test_score"], marker="o", capsize=4)
axes.set_xlabel("largest share of frequencies that a mask removes")
axes.set_ylabel("accuracy in cross-validation")
plt.show()
