"""scikit-learn's callbacks: which are called, when, and with which estimator."""

from __future__ import annotations

import numpy as np
import pytest
from quick import quick, run_python, walks
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from fei_sklearn import FEIEmbedder
from fei_sklearn._bridge import pretraining

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


def test_a_small_panel_is_warned_of_once():
    """Each epoch's fitted estimator has principal axes of its own."""
    seen = Snapshots(lambda embedder, X: embedder.transform(X).shape)
    embedder = quick(encoder="dilated", pooling="auto", n_components=6).set_callbacks(seen)
    with pytest.warns(UserWarning, match="principal axes") as caught:
        embedder.fit(walks(4, n_channels=1))
    assert len(caught) == 1
    assert seen.results == [(4, 6)] * 3


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
