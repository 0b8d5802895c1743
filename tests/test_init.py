"""The package as users see it: names, imports, representations, and no output unless asked."""

from __future__ import annotations

import configparser
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from quick import quick, run_python, walks
from sklearn.base import clone

import fei_sklearn

ROOT = Path(__file__).parent.parent


# Names


def test_public_names():
    assert {"CollapseWarning", "FEIEmbedder", "__version__"} <= set(fei_sklearn.__all__)
    assert list(fei_sklearn.__all__) == sorted(fei_sklearn.__all__)
    assert set(fei_sklearn.__all__) <= set(dir(fei_sklearn))
    everything = {}
    exec("from fei_sklearn import *", everything)
    for name in fei_sklearn.__all__:
        assert everything[name] is getattr(fei_sklearn, name)


def test_the_version_is_that_of_setup_cfg():
    metadata = configparser.ConfigParser()
    metadata.read(ROOT / "setup.cfg", encoding="utf-8")
    assert fei_sklearn.__version__ == metadata["metadata"]["version"]


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="module 'fei_sklearn' has no attribute 'FEIForest'"):
        fei_sklearn.FEIForest  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'FEIForest'"):
        from fei_sklearn import FEIForest  # noqa: F401


def test_every_parameter_is_checked_and_documented():
    params = fei_sklearn.FEIEmbedder().get_params()
    assert set(fei_sklearn.FEIEmbedder._parameter_constraints) == set(params)
    documented = re.findall(r"^    (\w+) : ", fei_sklearn.FEIEmbedder.__doc__, flags=re.MULTILINE)
    signature = inspect.signature(fei_sklearn.FEIEmbedder)
    assert documented[: len(params)] == list(signature.parameters)


# Imports


LOADED = "import json, sys; print(json.dumps(sorted({n.partition('.')[0] for n in sys.modules})))"


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import fei_sklearn", {"torch", "sklearn", "numpy", "scipy", "joblib", "sktime"}),
        (
            "from fei_sklearn import FEIEmbedder; repr(FEIEmbedder(max_epochs=3))",
            {"torch", "lightning_fabric", "sktime", "safetensors", "huggingface_hub"},
        ),
    ],
    ids=["package", "estimator"],
)
def test_nothing_is_imported_before_its_time(code, absent):
    (line,) = run_python(f"{code}\n{LOADED}").splitlines()  # and nothing else is printed
    loaded = set(json.loads(line))
    assert "fei_sklearn" in loaded
    assert loaded & absent == set()


def test_import_contracts():
    pytest.importorskip("importlinter")
    lint = (
        "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    )
    done = subprocess.run([sys.executable, "-c", lint], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# What is shown


def test_repr_shows_what_was_set():
    assert repr(fei_sklearn.FEIEmbedder("tiny", mask_ratio=0.5)) == (
        "FEIEmbedder(encoder='tiny', mask_ratio=0.5)"
    )


def test_html_repr_links_to_the_documentation():
    html = quick()._repr_html_()
    (page,) = re.findall(r'href="https://fei-sklearn\.github\.io/fei-sklearn/([^"]*)\.html"', html)
    folder, name = page.split("/")
    reference = (ROOT / "docs" / "api.rst").read_text(encoding="utf-8")
    assert f":toctree: {folder}\n" in reference
    assert f"   {name.removeprefix('fei_sklearn.')}\n" in reference
    assert "Not fitted" in html
    assert "Fitted" in quick(max_epochs=0).fit(walks())._repr_html_()


# Silence


def test_nothing_is_printed_unless_asked(capfd, caplog):
    embedder = quick(verbose=0).fit(walks())
    embedder.transform(walks())
    clone(embedder).set_params(warm_start=True).fit(walks()).fit(walks())
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("", "")
    assert not caplog.records


def test_nothing_is_written_unless_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("TMPDIR", "HOME"):
        (tmp_path / folder).mkdir()
        monkeypatch.setenv(folder, str(tmp_path / folder))
    embedder = quick(verbose=1).fit(walks())
    embedder.transform(walks())
    embedder._repr_html_()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["HOME", "TMPDIR"]
