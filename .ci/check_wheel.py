"""Check that a wheel holds every module, `py.typed`, the licence, and what setup.cfg promises.

Usage: check_wheel.py path/to/the.whl
"""

import configparser
import email
import sys
import zipfile
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent


def requirements(text, extra=None):
    """Each requirement of a setup.cfg field, as a wheel writes it."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    marker = f'; extra == "{extra}"' if extra else ""
    return {str(Requirement(line + marker)) for line in lines if line}


def check_metadata(metadata, config):
    """The wheel's dependencies and extras are those of setup.cfg, and nothing else."""
    expected = requirements(config["options"]["install_requires"])
    for extra, text in config["options.extras_require"].items():
        expected |= requirements(text, extra)
    found = {str(Requirement(line)) for line in metadata.get_all("Requires-Dist", [])}
    assert found == expected, f"Requires-Dist differs from setup.cfg: {sorted(found ^ expected)}"

    extras = set(metadata.get_all("Provides-Extra", []))
    assert extras == set(config["options.extras_require"]), f"Provides-Extra: {sorted(extras)}"

    names = {canonicalize_name(Requirement(line).name) for line in found}
    assert not names & {"lightning", "pytorch-lightning"}, "depends on lightning, not on its fabric"
    assert metadata["Version"] == config["metadata"]["version"]
    assert metadata["License-Expression"] == config["metadata"]["license_expression"]
    assert metadata["Requires-Python"] == config["options"]["python_requires"]


def check_files(names):
    """Every file of the package is in the wheel, and nothing beside it but metadata."""
    package = (path for path in (ROOT / "fei_sklearn").rglob("*") if path.is_file())
    expected = {str(path.relative_to(ROOT)) for path in package if "__pycache__" not in path.parts}
    found = {name for name in names if ".dist-info/" not in name}
    assert found == expected, f"files differ from the package: {sorted(found ^ expected)}"
    assert "fei_sklearn/py.typed" in found
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names), "no LICENSE"


def main(path):
    """Raise an AssertionError that names what is wrong with the wheel."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        info = next(name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(wheel.read(info))
    check_metadata(metadata, config)
    check_files(names)
    print(f"{Path(path).name}: files, dependencies and extras are as promised")


if __name__ == "__main__":
    main(sys.argv[1])
