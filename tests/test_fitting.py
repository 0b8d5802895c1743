"""Around a fit: scikit-learn's callbacks, printed lines, and rollback."""

from __future__ import annotations

import logging
import re
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from quick import oscillations, quick, run_python, walks
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from fei_sklearn import FEIClassifier, FEIEmbedder
from fei_sklearn._bridge import pretraining
from fei_sklearn._fitting import all_or_nothing, duration

pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")

Y = np.resize([0, 1], 20)


class Recorder:
    """Callback that notes every hook of the embedder, and the names of its task and all parents."""

    def __init__(self):
        self.calls = []
        self.paths = []
        self.max_subtasks = []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.note("begin", context)

    def on_fit_task_end(self, estimator, context):
        self.note("end", context)

    def note(self, what, context):
        if context.estimator_name == "FEIEmbedder":
            self.calls.append(f"{what} {context.task_name} {context.task_id}")
            self.max_subtasks.append(context.max_subtasks)
            path = [context]
            while path[0].parent is not None:
                path.insert(0, path[0].parent)
            self.paths.append([task.estimator_name for task in path])


class PropagatedRecorder(Recorder):
    """Callback of the outermost estimator that propagates to all inner ones."""

    max_propagation_depth = None

    def setup(self, estimator, context):
        self.calls.append(f"setup {type(estimator).__name__}")


class Stopper(Recorder):
    """Callback that stops the fit at the end of an epoch, counted from 0."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_fit_task_end(self, estimator, context):
        super().on_fit_task_end(estimator, context)
        return context.task_name == "epoch" and context.task_id == self.epoch


class Snapshots(Recorder):
    """Callback that uses the fitted estimator at the end of each task."""

    def __init__(self, use):
        super().__init__()
        self.use = use
        self.results = []

    def on_fit_task_end(self, estimator, context, *, X, fitted_estimator):
        self.results.append(self.use(fitted_estimator, X))


class Failing(Recorder):
    """Callback that raises at the end of the first epoch."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def on_fit_task_end(self, estimator, context):
        raise self.error


# Which hooks are called


EPOCHS = ["begin epoch 0", "end epoch 0", "begin epoch 1", "end epoch 1"]


def test_hooks_are_called_in_order():
    recorder = Recorder()
    quick().set_callbacks(recorder).fit(walks())
    assert recorder.calls == ["setup", "begin fit 0", *EPOCHS, "end fit 0", "teardown"]
    assert recorder.max_subtasks == [2, 0, 0, 0, 0, 2]  # the length of a progress bar


def test_without_epochs_only_the_fit_has_hooks():
    recorder = Recorder()
    quick(max_epochs=0).set_callbacks(recorder).fit(walks())
    assert recorder.calls == ["setup", "begin fit 0", "end fit 0", "teardown"]


def test_epochs_within_a_pipeline():
    recorder = Recorder()
    make_pipeline(quick().set_callbacks(recorder), LogisticRegression()).fit(walks(), Y)
    assert recorder.calls == ["setup", "begin fit 0", *EPOCHS, "end fit 0", "teardown"]
    assert recorder.paths[1] == ["Pipeline", "FEIEmbedder", "FEIEmbedder"]


def test_epochs_within_a_grid_search():
    recorder = PropagatedRecorder()
    pipeline = make_pipeline(quick(), LogisticRegression())
    grid = {"feiembedder__mask_ratio": [0.3, 0.7]}
    GridSearchCV(pipeline, grid, cv=2).set_callbacks(recorder).fit(walks(), Y)
    assert recorder.calls[0] == "setup GridSearchCV"
    assert recorder.calls[-1] == "teardown"
    assert recorder.calls[1:-1] == ["begin fit 0", *EPOCHS, "end fit 0"] * (2 * 2 + 1)
    epochs = [path for path in recorder.paths if path[-2:] == ["FEIEmbedder", "FEIEmbedder"]]
    assert len(epochs) == 2 * len(EPOCHS) // 2 * (2 * 2 + 1)
    assert all(path[0] == "GridSearchCV" and "Pipeline" in path for path in epochs)


def test_callbacks_do_not_change_what_is_learned():
    params = {"max_epochs": 4, "learning_rate": 0.01}
    callback = Snapshots(lambda embedder, X: embedder.transform(X))
    followed = quick(**params).set_callbacks(callback).fit(walks())
    alone = quick(**params)
    np.testing.assert_array_equal(
        followed.transform(walks()), alone.fit(walks()).transform(walks())
    )
    for name in ("train_loss", "valid_loss"):
        assert [r[name] for r in followed.history_] == [r[name] for r in alone.history_]


def test_progress_bars_of_epochs_within_a_grid_search(capsys):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    search = GridSearchCV(
        make_pipeline(quick(), LogisticRegression()), {"feiembedder__mask_ratio": [0.3, 0.7]}, cv=2
    )
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(walks(), Y)
    shown = capsys.readouterr().out.splitlines()
    bars = [line for line in shown if "FEIEmbedder" in line]
    assert len(bars) == 2 * 2 + 1
    assert all(" - fit" in bar and "100%" in bar for bar in bars)


# Stopping


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_callback_stops_the_fit(epoch):
    stopper = Stopper(epoch)
    recorder = Recorder()
    embedder = quick(max_epochs=4).set_callbacks(stopper, recorder).fit(walks())
    assert embedder.n_iter_ == len(embedder.history_) == epoch + 1
    assert embedder.best_epoch_ <= epoch + 1
    # the other callback is called for every hook as well
    assert stopper.calls == recorder.calls
    assert recorder.calls[-3:] == [f"end epoch {epoch}", "end fit 0", "teardown"]
    assert np.isfinite(embedder.transform(walks())).all()


# The estimator as it is at an epoch


def test_a_callback_gets_a_fitted_estimator():
    seen = Snapshots(lambda embedder, X: (embedder.transform(X), len(embedder.history_)))
    embedder = quick(max_epochs=3, validation_fraction=None).set_callbacks(seen).fit(walks())
    embeddings, epochs = zip(*seen.results, strict=True)
    assert epochs == (1, 2, 3, 3)
    final = embedder.transform(walks())
    np.testing.assert_array_equal(embeddings[-1], final)
    np.testing.assert_array_equal(embeddings[-2], final)
    assert (embeddings[0] != final).any()


def test_the_fitted_estimator_is_what_stopping_would_give():
    seen = Snapshots(lambda embedder, X: embedder.transform(X))
    quick(max_epochs=3).set_callbacks(seen).fit(walks())
    for epoch in range(2):
        stopped = quick(max_epochs=3).set_callbacks(Stopper(epoch)).fit(walks())
        np.testing.assert_array_equal(seen.results[epoch], stopped.transform(walks()))


def test_the_fitted_estimator_is_not_that_of_an_earlier_fit():
    embedder = quick(channels="independent").fit(walks())
    seen = Snapshots(lambda embedder, X: (embedder.transform(X).shape, len(embedder.history_)))
    embedder.set_callbacks(seen).fit(walks(n_channels=3))
    assert seen.results == [((20, 48), 1), ((20, 48), 2), ((20, 48), 2)]


def test_the_estimator_itself_is_not_fitted_before_the_end():
    class Peeking(Recorder):
        fitted = []

        def on_fit_task_end(self, estimator, context, *, X, fitted_estimator):
            self.fitted.append(
                (hasattr(estimator, "weights_"), hasattr(fitted_estimator, "weights_"))
            )

    quick().set_callbacks(Peeking()).fit(walks())
    assert Peeking.fitted == [(False, True), (False, True), (True, True)]


def test_a_callback_may_save_each_epoch(tmp_path):
    def save(embedder, X):
        path = tmp_path / str(embedder.n_iter_)
        embedder.save(path)
        return path, embedder.transform(X)

    seen = Snapshots(save)
    quick().set_callbacks(seen).fit(walks())
    for path, embeddings in seen.results:
        np.testing.assert_array_equal(FEIEmbedder.load(path).transform(walks()), embeddings)


# Failing


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("where", ["callback", "training"])
@pytest.mark.parametrize("fitted_before", [False, True])
def test_a_failing_fit_is_torn_down_and_leaves_no_trace(error, where, fitted_before, monkeypatch):
    def fail(*args, **kwargs):
        raise error

    embedder = quick(max_epochs=1)
    if fitted_before:
        embedder.fit(walks())
    recorder = Recorder()
    embedder.set_callbacks(recorder, *([Failing(error)] if where == "callback" else []))
    if where == "training":
        monkeypatch.setattr(pretraining, "pretrain", fail)
    before = dict(vars(embedder))
    with pytest.raises(type(error)):
        embedder.fit(walks(n_channels=3))
    assert recorder.calls[:2] == ["setup", "begin fit 0"]
    assert recorder.calls.count("teardown") == 1 and recorder.calls[-1] == "teardown"
    assert vars(embedder).keys() == before.keys()
    assert all(vars(embedder)[name] is value for name, value in before.items())


def test_a_refused_panel_leaves_no_trace():
    embedder = quick().set_callbacks(Recorder()).fit(walks())
    before = dict(vars(embedder))
    with pytest.raises(ValueError, match="infinity"):
        embedder.fit(np.full((20, 3, 30), np.inf))
    assert vars(embedder).keys() == before.keys()
    assert all(vars(embedder)[name] is value for name, value in before.items())


# Older scikit-learn


WITHOUT_CALLBACKS = """
import sys

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

sys.modules["sklearn.callback"] = None  # importing it fails from here on, as before 1.9

from quick import quick, walks

embedder = quick(verbose=1)
assert not hasattr(embedder, "set_callbacks")
model = make_pipeline(embedder, LogisticRegression()).fit(walks(), np.resize([0, 1], 20))
expected = clone(embedder).set_params(verbose=0).fit(walks()).transform(walks())
np.testing.assert_array_equal(embedder.transform(walks()), expected)
assert embedder.n_iter_ == 2
print("fitted")
"""


def test_without_scikit_learns_callbacks():
    lines = run_python(WITHOUT_CALLBACKS).splitlines()
    assert lines[-1] == "fitted"
    assert len(lines) == 3


# Printed lines


@pytest.mark.parametrize(
    ("verbose", "epochs"),
    [(1, [1, 2, 3, 4, 5]), (2, [1, 2, 4, 5]), (10, [1, 5]), (True, [1, 2, 3, 4, 5])],
)
def test_progress_has_a_line_for_some_epochs(verbose, epochs, capfd):
    embedder = quick(verbose=verbose, max_epochs=5, n_iter_no_change=None).fit(walks())
    shown = capfd.readouterr()
    lines = shown.out.splitlines()
    assert shown.err == ""
    assert [int(re.match(r"\[FEIEmbedder\] epoch (\d)/5 ", line)[1]) for line in lines] == [*epochs]
    for line in lines:
        assert re.search(r"lr \d\.\d\de[-+]\d\d  \d+\.\d\d s/epoch  at most \d+ s left$", line)
    last = embedder.history_[-1]
    assert f"train_loss {last['train_loss']:.4f}" in lines[-1]
    assert f"valid_loss {last['valid_loss']:.4f}" in lines[-1]
    assert lines[-1].endswith("at most 0 s left")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3600, "1 h 00 min"),
        (7384, "2 h 03 min"),
    ],
)
def test_durations(seconds, shown):
    assert duration(seconds) == shown


# Rollback


@pytest.mark.parametrize("error", [ValueError(), KeyboardInterrupt()], ids=repr)
def test_a_method_that_raises_leaves_the_attributes(error):
    class Estimator:
        @all_or_nothing
        def fit(self):
            self.kept = "new"
            self.added = 1
            del self.removed
            raise error

    estimator = Estimator()
    estimator.kept = "old"
    estimator.removed = "there"
    with pytest.raises(type(error)):
        estimator.fit()
    assert vars(estimator) == {"kept": "old", "removed": "there"}


@pytest.mark.parametrize("error", [None, RuntimeError("late")], ids=["fits", "fails"])
def test_a_refit_is_seen_as_a_whole_or_not_at_all(error, monkeypatch):
    panel = walks()
    wider = walks(n_channels=3)
    embedder = quick().fit(panel)
    before = embedder.transform(panel)
    keep = FEIEmbedder._keep
    seen = []

    def keep_and_look(self, *args):
        seen.append(embedder.transform(panel))
        keep(self, *args)
        seen.append(embedder.transform(panel))
        if error is not None:
            raise error

    monkeypatch.setattr(FEIEmbedder, "_keep", keep_and_look)
    if error is None:
        assert embedder.fit(wider) is embedder
        assert embedder.transform(wider).shape == (20, 48)
    else:
        with pytest.raises(RuntimeError, match="late"):
            embedder.fit(wider)
        seen.append(embedder.transform(panel))
    assert len(seen) >= 2
    for embeddings in seen:
        np.testing.assert_array_equal(embeddings, before)


def test_a_prediction_reads_one_state(monkeypatch):
    X, frequency = oscillations(40)
    model = FEIClassifier(quick(), max_epochs=1, random_state=0).fit(X, frequency)
    before = model.predict(X)
    embed = FEIClassifier._embed

    def refit_meanwhile(self, series):
        embeddings = embed(self, series)
        monkeypatch.undo()
        model.fit(X, np.where(frequency > 4, "fast", "slow"))
        return embeddings

    monkeypatch.setattr(FEIClassifier, "_embed", refit_meanwhile)
    np.testing.assert_array_equal(model.predict(X), before)
    assert set(model.predict(X)) == {"fast", "slow"}


def test_threads_leave_nothing_behind():
    import lightning_fabric  # noqa: F401 its import adds filters of its own

    panel = walks()
    logger = logging.getLogger("lightning_fabric")
    before = (list(warnings.filters), logger.level, torch.get_default_dtype())

    def fit(seed):
        precision = ("32-true", "bf16-mixed")[seed % 2]
        return quick(random_state=seed // 2, precision=precision).fit(panel).transform(panel)

    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(fit, range(8)))
    assert (list(warnings.filters), logger.level, torch.get_default_dtype()) == before
    for seed, embeddings in enumerate(together):
        np.testing.assert_array_equal(embeddings, fit(seed))
