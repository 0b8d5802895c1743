"""Registry of the paper's sets and their substitutes: descriptions, sources and places on disk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fei_sklearn.datasets._cmapss import SUBSETS
from fei_sklearn.datasets._npz import keys_of
from fei_sklearn.datasets._ucr import SUFFIXES
from fei_sklearn.datasets._ucr_names import UCR_NAMES
from fei_sklearn.datasets._xjtu import CONDITIONS

_FIGSHARE = "https://figshare.com/ndownloader/articles/{}/versions/{}"
_NASA = (
    "https://www.nasa.gov/intelligent-systems-division/discovery-and-systems-health/pcoe/"
    "pcoe-data-set-repository/"
)
_PT = "train.pt, val.pt and test.pt"


@dataclass(frozen=True)
class Entry:
    """Data set that is known by name.

    Attributes
    ----------
    name, task : str
        As in :class:`~fei_sklearn.datasets.Dataset`.
    title : str
        Short description.
    shape : str
        Sizes of the parts, channels and length.
    source : str
        Public page or address to download the set from.
    format : {"tfc", "cmapss", "xjtu", "ucr"} or None
        Published format; None for a set that exists as ``.npz`` only.
    files : str
        Files of the published format.
    folders : tuple of str
        Folders below the root that are searched for these files. The first is where they belong.
    npz : tuple of str
        Places below the root that are searched for the set as ``.npz``.
    npz_swapped : bool
        Whether the test part of the ``.npz`` holds the paper's training series.
    paper_length : int or None
        Time points that the paper keeps; None keeps all.
    note : str
        Difference from the paper's data.
    """

    name: str
    task: str
    title: str
    shape: str
    source: str
    format: str | None = None
    files: str = ""
    folders: tuple[str, ...] = ()
    npz: tuple[str, ...] = ()
    npz_swapped: bool = False
    paper_length: int | None = None
    note: str = ""

    def find(self, root: Path) -> Path | None:
        """Return the folder or file of the set below a root, for its reader; None without one."""
        is_in_parent = self.format in ("tfc", "cmapss")
        for folder in self.folders:
            for place in self._places(root / folder):
                if place.exists():
                    return place.parent if is_in_parent else place
        for name in self.npz:
            file = root / name
            if file.is_file() and self._is_archived(file):
                return file
        return None

    def how_to_get(self, root: Path | None = None) -> str:
        """Return which files to download, from where, and where to put them."""
        below = "the root" if root is None else str(root)
        ways = []
        if self.format:
            place = below
            if self.folders[0] != ".":
                place = f"{below}/{self.folders[0]}"
            ways.append(f"download {self.files} from {self.source} and put them in {place}")
        if self.npz:
            origin = "" if self.format else f", made from {self.source},"
            ways.append(f"put {self.npz[0]}{origin} in {below}")
        return ", or ".join(ways)

    def _places(self, folder: Path) -> list[Path]:
        """Return files and folders. If one of them exists, the set is in the folder."""
        if self.format == "tfc":
            return [folder / "train.pt"]
        if self.format == "cmapss":
            return [folder / f"train_{self.name}.txt"]
        if self.format == "ucr":
            stem = self.name.removeprefix("UCR:")
            return [folder / f"{stem}_TRAIN{suffix}" for suffix in SUFFIXES]
        return [folder]

    def _is_archived(self, archive: Path) -> bool:
        if self.format != "cmapss":
            return True
        return f"train_{self.name}" in keys_of(archive)


def _tfc(
    name: str,
    folder: str,
    figshare: tuple[int, int],
    title: str,
    shape: str,
    npz: str = "",
    **more: Any,
) -> Entry:
    return Entry(
        name,
        more.pop("task", "classification"),
        title,
        shape,
        _FIGSHARE.format(*figshare),
        "tfc",
        more.pop("files", _PT),
        (folder, name),
        (npz,) if npz else (),
        paper_length=178,
        **more,
    )


def _cmapss(subset: str) -> Entry:
    return Entry(
        subset,
        "regression",
        "C-MAPSS turbofan engines, remaining useful life from sensor s_2",
        "windows of 1 x 35",
        _NASA,
        "cmapss",
        f"train_{subset}.txt, test_{subset}.txt and RUL_{subset}.txt",
        ("CMAPSS", f"CMAPSS/{subset}", "CMAPSSData", "C-MAPSS", subset, "."),
        ("cmapss.npz",),
    )


def _xjtu(condition: str) -> Entry:
    folder = CONDITIONS[condition]
    number = list(CONDITIONS).index(condition) + 1
    bearings = [f"Bearing{number}_{bearing}" for bearing in range(1, 6)]
    return Entry(
        condition,
        "regression",
        f"XJTU-SY bearings at {folder}, remaining useful life from vibration",
        "windows of 1 x 8192",
        "https://biaowang.tech/xjtu-sy-bearing-datasets/",
        "xjtu",
        f"{', '.join(bearings)} of {folder}",
        (f"XJTU-SY_Bearing_Datasets/{folder}", f"XJTU-SY/{folder}", f"XJTU/{folder}", folder),
    )


def _npz_only(
    name: str,
    task: str,
    npz: str,
    title: str,
    shape: str,
    source: str,
    **more: Any,
) -> Entry:
    return Entry(name, task, title, shape, source, npz=(npz,), **more)


def _ucr(name: str) -> Entry:
    archives = ("UCR", "ucr", "UCRArchive_2018", "Univariate_ts", ".")
    folders = [f"{archive}/{name}" for archive in archives]
    return Entry(
        f"UCR:{name}",
        "classification",
        f"{name} of the UCR archive",
        "the archive's own split, 1 channel",
        "https://www.cs.ucr.edu/~eamonn/time_series_data_2018/",
        "ucr",
        f"{name}_TRAIN.tsv and {name}_TEST.tsv",
        (*folders, *archives),
        (f"ucr/{name}.npz", f"UCR/{name}.npz"),
    )


_ENTRIES = (
    _tfc(
        "SLE",
        "SleepEEG",
        (19930178, 1),
        "SleepEEG (Sleep-EDF), which the paper pretrains on",
        "train 371055, val 107730, x 1 x 200",
        task="pretraining",
        files="train.pt and val.pt",
        note="Its labels are dropped: give the folder instead of the name to have them.",
    ),
    _tfc(
        "GES",
        "Gesture",
        (19930247, 1),
        "Gesture (UWaveGestureLibrary), 8 gestures from acceleration",
        "train 320, val 120, test 120, x 3 x 315",
        "uwave_gesture.npz",
        npz_swapped=True,
        note=(
            "The .npz has the UEA archive's parts, 120 to train and 320 to test. The paper's sizes "
            "fit only if they change places, as they do with paper_protocol=True."
        ),
    ),
    _tfc(
        "FDB",
        "FD-B",
        (19930226, 1),
        "FD-B (Paderborn), 3 states of a bearing from its motor's current",
        "train 60, val 21, test 13559, x 1 x 5120",
    ),
    _tfc(
        "EMG",
        "EMG",
        (19930250, 1),
        "EMG of one healthy and two ill people",
        "train 122, val 41, test 41, x 1 x 1500",
        "emg.npz",
        note="The .npz has the same windows, in a split of its own.",
    ),
    _tfc(
        "EPI",
        "Epilepsy",
        (19930199, 2),
        "Epilepsy (Bonn), seizure or none from EEG",
        "train 60, val 20, test 11420, x 1 x 178",
        "epilepsy.npz",
    ),
    _tfc(
        "HAR",
        "HAR",
        (19930244, 1),
        "HAR (UCI), 6 activities from a smartphone's sensors",
        "train 5881, val 1471, test 2947, x 9 x 128 (TF-C: 3 x 206)",
        "har.npz",
        note="The .npz has the official test subjects, and a cut of training and validation.",
    ),
    *map(_cmapss, SUBSETS),
    *map(_xjtu, CONDITIONS),
    _npz_only(
        "SLE-UCDDB",
        "pretraining",
        "sleep_eeg_ucddb.npz",
        "sleep EEG of the UCD Sleep Apnea Database",
        "train 13563, val 3046, test 4866, x 1 x 178",
        "https://physionet.org/content/ucddb/1.0.0/",
        paper_length=178,
        note="A substitute for SLE, not the paper's data. Its labels are dropped.",
    ),
    _npz_only(
        "CWRU",
        "classification",
        "cwru_bearing.npz",
        "CWRU bearings, 4 states from vibration",
        "train 261, val 91, test 85, x 1 x 5120",
        "https://engineering.case.edu/bearingdatacenter",
        paper_length=178,
        note="A substitute for FDB, not the paper's data.",
    ),
    _npz_only(
        "FEMTO",
        "regression",
        "femto_bearing.npz",
        "FEMTO / PRONOSTIA bearings, remaining useful life from vibration",
        "train 600, test 1100, x 2 x 2560",
        _NASA,
        note="A substitute for OC-A to OC-C, not the paper's data.",
    ),
)
_BY_NAME = {entry.name: entry for entry in _ENTRIES}
#: The paper's code writes OP where its text writes OC.
_ALIASES = {"OPA": "OC-A", "OPB": "OC-B", "OPC": "OC-C"}
_UCR_BY_LOWER = {name.lower(): name for name in UCR_NAMES}


def names() -> list[str]:
    """Return the names of all entries, with the UCR archive last."""
    of_archive = [f"UCR:{name}" for name in UCR_NAMES]
    return [*_BY_NAME, *of_archive]


def entry_of(name: str) -> Entry | None:
    """Return the entry of a name in upper or lower case; None if there is none."""
    upper = name.upper()
    if not upper.startswith("UCR:"):
        return _BY_NAME.get(_ALIASES.get(upper, upper))
    given = name[len("UCR:") :]
    set_name = _UCR_BY_LOWER.get(given.lower(), given)
    # sets newer than the list of 2018 are accepted, paths are not
    if not re.fullmatch(r"\w[\w-]*", set_name):
        return None
    return _ucr(set_name)


def found_in(root: Path) -> Iterator[Entry]:
    """Yield the entries whose files are below `root`."""
    archived = {f"UCR:{path.stem}" for path in root.glob("ucr/*.npz")}
    newer = sorted(archived.difference(names()))
    for name in [*names(), *newer]:
        entry = entry_of(name)
        if entry is not None and entry.find(root) is not None:
            yield entry


def own_files(root: Path) -> dict[str, Path]:
    """Return the training files at most two folders below `root` that belong to no entry.

    Returns
    -------
    dict of str to Path
        Name for `load_dataset` with this root -> file that ends in ``_TRAIN``.
    """
    places = [entry.find(root) for entry in found_in(root)]
    known = {_without_part(place) for place in places if place is not None}
    files: dict[Path, Path] = {}
    for depth in ("", "*/", "*/*/"):
        for suffix in SUFFIXES:
            for file in sorted(root.glob(f"{depth}*_TRAIN{suffix}")):
                stem = _without_part(file)
                if file.is_file() and stem not in known:
                    files.setdefault(stem, file)
    return {_own_name(stem, file, root): file for stem, file in files.items()}


def _without_part(file: Path) -> Path:
    """Return the path of a training file without ``_TRAIN`` and ending."""
    return file.with_name(file.stem.removesuffix("_TRAIN"))


def _own_name(stem: Path, file: Path, root: Path) -> str:
    """Return the shortest name under which `load_dataset` finds a training file."""
    place = stem.parent if stem.parent.name == stem.name and stem.parent != root else stem
    name = place.relative_to(root).as_posix()
    n_sets = len(list(place.glob("*_TRAIN.*")))
    is_taken = entry_of(name) is not None or (root / f"{name}.npz").exists()
    if is_taken or n_sets > 1 or (place == stem and stem.exists()):
        return file.relative_to(root).as_posix()
    return name
