"""Modules, tests, import contracts and documentation name the same things."""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "fei_sklearn"
TESTS = ROOT / "tests"
DOCS = ROOT / "docs"

#: Modules of plain names or of one call, which the tests of their package cover.
WITHOUT_TESTS = {"datasets._ucr_names", "objective"}

MAX_ROOT_MODULES = 15
MAX_PACKAGES = 14

#: Packages and modules whose `__all__` the API page lists.
PUBLIC = (
    "fei_sklearn",
    "fei_sklearn.adapters.dask",
    "fei_sklearn.adapters.frames",
    "fei_sklearn.adapters.sktime",
    "fei_sklearn.datasets",
    "fei_sklearn.displays",
    "fei_sklearn.encoder",
    "fei_sklearn.evaluation",
    "fei_sklearn.heads",
    "fei_sklearn.inference",
    "fei_sklearn.masking",
    "fei_sklearn.objective",
    "fei_sklearn.objectives",
    "fei_sklearn.readout",
    "fei_sklearn.recipes",
    "fei_sklearn.training",
)


def modules():
    """Return the dotted names of all modules, relative to the package, without `__init__`."""
    paths = sorted(PACKAGE.rglob("*.py"))
    relative = [path.relative_to(PACKAGE).with_suffix("") for path in paths]
    return [".".join(path.parts) for path in relative if path.name != "__init__"]


def root_entries():
    """Return the names of the modules and packages in the package's root."""
    plain = {path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__"}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    return plain, packages


def mirrored(module):
    """Return the path of a module's tests."""
    *folders, name = (part.strip("_") for part in module.split("."))
    return TESTS.joinpath(*folders, f"test_{name}.py")


def layers():
    """Return the layers of the first import contract, each a set of names."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (
        contract
        for contract in config["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    )
    return [set(re.findall(r"\w+", layer)) for layer in contract["layers"]]


def test_root_is_small():
    plain, packages = root_entries()
    assert len(plain) + 1 <= MAX_ROOT_MODULES  # and __init__
    assert len(packages) <= MAX_PACKAGES


@pytest.mark.parametrize("module", [m for m in modules() if m not in WITHOUT_TESTS])
def test_each_module_has_its_test_file(module):
    assert mirrored(module).is_file()


def test_no_test_imports_from_another_test():
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            borrowed = [name for name in names if name.rpartition(".")[2].startswith("test_")]
            assert not borrowed, f"{path.name} imports {borrowed[0]}"


def test_architecture_page_has_the_layers_of_the_contracts():
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    (drawing,) = re.findall(r"```text\n(.*?)```", text, flags=re.DOTALL)
    lines = [line for line in drawing.splitlines() if not line.startswith("-")]
    drawn = [set(line.split()) - {"|"} for line in lines]
    assert drawn == layers()


def test_architecture_page_names_every_module():
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/]+?)(?:\.py|/)?`", text))
    plain, packages = root_entries()
    missing = sorted((plain | packages) - {name.partition("/")[0] for name in named})
    assert not missing
    known = {module.replace(".", "/") for module in modules()} | packages
    paths = {name for name in named if "/" in name and name.partition("/")[0] in packages}
    folders = {str(Path(path).parent) for path in known}
    assert sorted(paths - known - folders) == []


@pytest.mark.parametrize("name", PUBLIC)
def test_api_page_lists_public_names(name):
    text = (DOCS / "api.rst").read_text(encoding="utf-8")
    module = ""
    listed = set()
    for line in text.splitlines():
        if line.startswith(".. currentmodule::"):
            module = line.split()[-1]
        elif re.fullmatch(r"   [\w.]+", line):
            listed.add(f"{module}.{line.strip()}")
    public = {f"{name}.{entry}" for entry in importlib.import_module(name).__all__}
    missing = sorted(public - listed - {"fei_sklearn.__version__"})
    assert missing == []
