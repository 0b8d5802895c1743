"""Files around the package: continuous integration, releases, the conda recipe."""

from __future__ import annotations

import configparser
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
CI = ROOT / ".ci"

#: Names on conda-forge of packages that have another name on PyPI.
CONDA_NAMES = {"torch": "pytorch"}

RELEASED = {
    "setup.cfg": "[metadata]\nversion = 1.2.0\n",
    "CITATION.cff": "version: 1.2.0\n",
    "CHANGELOG.md": "# Changelog\n\n## [1.2.0] - 2030-01-31\n\n## [1.1.0] - 2029-01-01\n",
}

#: A link of Markdown that leads neither to the web nor to a heading.
RELATIVE_LINK = re.compile(r"\]\((?!https?:|#)")

posix = pytest.mark.skipif(sys.platform == "win32", reason="runs a shell script")


def test_the_readme_on_pypi_links_to_files_of_the_tag():
    absolute = runpy.run_path(str(CI / "pypi_readme.py"))["absolute"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert RELATIVE_LINK.search(readme)
    shown = absolute(readme, "v1.2.0")
    assert not RELATIVE_LINK.search(shown)
    assert "](https://github.com/fei-sklearn/fei-sklearn/blob/v1.2.0/docs/index.md)" in shown
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", shown)
    assert pictures
    assert all("raw.githubusercontent.com" in address for address in pictures)


def problems(root, tag=None):
    check = runpy.run_path(str(CI / "check_release.py"))
    return check["problems"](root, tag)


@pytest.fixture
def released(tmp_path):
    for name, text in RELEASED.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_one_version_has_no_problems(released):
    assert problems(released, "v1.2.0") == []


@pytest.mark.parametrize(
    ("name", "former", "new", "problem"),
    [
        ("CITATION.cff", "1.2.0", "1.1.0", "CITATION.cff has version 1.1.0"),
        ("CHANGELOG.md", "[1.2.0]", "[1.3.0]", "first section of CHANGELOG.md is 1.3.0"),
        ("CHANGELOG.md", "2030-01-31", "unreleased", "no date, but 'unreleased'"),
        ("setup.cfg", "1.2.0", "1.2.1", "the tag is v1.2.0, and setup.cfg has version 1.2.1"),
    ],
)
def test_versions_that_differ_are_named(released, name, former, new, problem):
    text = RELEASED[name].replace(former, new)
    (released / name).write_text(text, encoding="utf-8")
    assert any(problem in sentence for sentence in problems(released, "v1.2.0"))


def test_the_check_passes_here_and_fails_for_another_tag():
    command = [sys.executable, str(CI / "check_release.py")]
    assert subprocess.run(command).returncode == 0
    done = subprocess.run([*command, "v99.0"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "the tag is v99.0" in done.stderr


def run_git(folder, *arguments):
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_md", ".md")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    run_git(folder, "add", ".")
    run_git(folder, "commit", "-m", "A change")


@posix
@pytest.mark.parametrize(
    ("changed", "passes"),
    [
        (["fei_sklearn__module"], False),
        (["fei_sklearn__module", "CHANGELOG_md"], True),
        (["docs__page"], True),
    ],
)
def test_changes_of_the_package_need_a_line_in_the_changelog(tmp_path, changed, passes):
    scripts = tmp_path / ".ci"
    scripts.mkdir()
    script = scripts / "changelog"
    script.write_bytes((CI / "changelog").read_bytes())
    script.chmod(0o755)
    run_git(tmp_path, "init", "--initial-branch=main")
    commit(tmp_path, fei_sklearn__module="1", CHANGELOG_md="1", docs__page="1")
    run_git(tmp_path, "checkout", "-b", "topic")
    commit(tmp_path, **dict.fromkeys(changed, "2"))

    done = subprocess.run([script, "main"], capture_output=True, text=True)

    assert (done.returncode == 0) == passes
    assert ("Add a line" in done.stderr) != passes


def test_the_conda_recipe_has_the_dependencies_of_the_package():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    required = config["options"]["install_requires"].strip().splitlines()
    expected = {}
    for requirement in required:
        if requirement.startswith("#"):
            continue
        name, versions = re.fullmatch(r"([\w-]+)(.*)", requirement).groups()
        expected[CONDA_NAMES.get(name, name)] = versions

    recipe = yaml.safe_load((CI / "conda" / "recipe.yaml").read_text(encoding="utf-8"))
    _python, *dependencies = recipe["requirements"]["run"]

    assert dict(line.split(" ", 1) for line in dependencies) == expected
    assert recipe["context"]["version"] == config["metadata"]["version"]


@pytest.mark.parametrize("workflow", sorted((ROOT / ".github" / "workflows").glob("*.yml")))
def test_workflows_call_what_exists(workflow):
    text = workflow.read_text(encoding="utf-8")
    for script in re.findall(r"\.ci/[\w.]+", text):
        assert os.access(ROOT / script, os.R_OK), script
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"run: make (\w+)", text)) <= set(targets)
