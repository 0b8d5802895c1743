"""Check that setup.cfg, CITATION.cff and the changelog name one version.

Usage: check_release.py [TAG]. With a tag, such as v0.1.0, it has to name that version too, and the
changelog's section has to have a date.
"""

import configparser
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def package_version(root):
    """Return the version in setup.cfg."""
    config = configparser.ConfigParser()
    config.read(root / "setup.cfg", encoding="utf-8")
    return config["metadata"]["version"]


def cited_version(root):
    """Return the version in CITATION.cff."""
    text = (root / "CITATION.cff").read_text(encoding="utf-8")
    return re.search(r"^version: (\S+)$", text, re.MULTILINE)[1]


def newest_section(root):
    """Return the version and the date of the first section of the changelog."""
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    section = re.search(r"^## \[(\S+)\] - (\S+)$", text, re.MULTILINE)
    return section[1], section[2]


def problems(root, tag=None):
    """Return one sentence per disagreement."""
    version = package_version(root)
    cited = cited_version(root)
    section, date = newest_section(root)
    found = []
    if cited != version:
        found.append(f"CITATION.cff has version {cited}, and setup.cfg has {version}")
    if section != version:
        found.append(f"the first section of CHANGELOG.md is {section}, and setup.cfg has {version}")
    if tag is None:
        return found
    if tag != f"v{version}":
        found.append(f"the tag is {tag}, and setup.cfg has version {version}")
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", date):
        found.append(f"the first section of CHANGELOG.md has no date, but {date!r}")
    return found


if __name__ == "__main__":
    sys.exit("\n".join(problems(ROOT, *sys.argv[1:])) or 0)
