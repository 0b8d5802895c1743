from __future__ import annotations
import pytest
from sktime.utils.estimator_checks import check_estimator, parametrize_with_checks
from fei_sklearn.adapters.sktime import FEIClassifier, FEIRegressor, FEITransformer

@parametrize_with_checks([FEITransformer, FEIClassifier, FEIRegressor])
def test_sktime_checks(obj, test_name):
    check_estimator(obj, tests_to_run=test_name, raise_exceptions=True, verbose=False)
