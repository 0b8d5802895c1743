"""Reports: means and deviations over seeds, beside the published numbers."""

from __future__ import annotations

import csv
import re
from html.parser import HTMLParser

import pytest

from fei_sklearn.evaluation import STUDIES, read_results, write_report
from fei_sklearn.evaluation.published import METHODS, VARIANTS, published
from fei_sklearn.evaluation.results import RESULTS_FORMAT, ResultsFile
from fei_sklearn.evaluation.tables import tables


def record(set_name="EPI", accuracy=0.9, seed=0, model="mine", **changes):
    values = {
        "format": RESULTS_FORMAT,
        "model": model,
        "fingerprint": "a" * 16,
        "set": set_name,
        "protocol": "linear",
        "seed": seed,
        "study": None,
        "variant": None,
        "settings": {"standardise": "time-index", "paper_protocol": True},
        "task": "classification",
        "metrics": dict.fromkeys(("accuracy", "precision", "recall", "f1"), accuracy),
    }
    return values | changes


def regression(mse, mae, **changes):
    return record("FD001", task="regression", metrics={"mse": mse, "mae": mae}, **changes)


def rows(folder):
    with (folder / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_mean_and_deviation_over_seeds_beside_the_published_number(tmp_path):
    records = [record(accuracy=a, seed=s) for s, a in enumerate((0.90, 0.92, 0.97))]
    write_report([*records, record("SLE-UCDDB", 0.5)], tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text()
    assert "| set | mine | Rand. Init. (published) | FEI (published) |" in text
    assert "| EPI | 93.00 ± 3.61 | 19.79 | 96.84 |" in text
    assert "| SLE-UCDDB | 50.00 |  |  |" in text  # a substitute has no published number
    assert "not the paper's data" in text
    (ours,) = [
        r for r in rows(tmp_path / "report")
        if (r["set"], r["model"], r["metric"]) == ("EPI", "mine", "accuracy")
    ]  # fmt: skip
    assert (float(ours["mean"]), ours["seeds"]) == (pytest.approx(93.0), "3")
    assert float(ours["std"]) == pytest.approx(3.60555, abs=1e-4)


def test_errors_are_not_percentages(tmp_path):
    write_report([regression(0.034, 0.145)], tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "| FD001 | 0.0340 | 0.065 | 0.034 |" in text
    assert "| FD001 | 0.1450 | 0.233 | 0.145 |" in text


def test_the_archives_mean_is_over_the_sets_that_all_models_have(tmp_path):
    records = [record(f"UCR:{name}", a) for name, a in (("A", 0.5), ("B", 0.7), ("C", 0.9))]
    records += [record(f"UCR:{name}", 0.6, model="other") for name in "AB"]
    write_report(records, tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "| UCR, mean of 2 (paper: 128) | 60.00 | 60.00 | 39.03 | 78.17 |" in text
    assert "| C | 90.00 |  |  |  |" in text


def test_two_models_of_one_name_are_two_columns():
    records = [record(), record(fingerprint="b" * 16), record(model="other")]
    (table, *_) = tables(records)
    assert table.models == ["mine [aaaaaa]", "mine [bbbbbb]", "other"]


def test_protocols_and_studies_are_tables_of_their_own():
    study = {"study": "masking", "variant": "discrete", "model": "discrete"}
    fewer = {"settings": {"standardise": "time-index", "paper_protocol": True, "most": 500}}
    found = tables([record(), record(protocol="finetune"), record(**study), record(**fewer)])
    titles = [table.title for table in found if table.metric == "accuracy"]
    assert len(set(titles)) == 4
    assert titles[3] == titles[0].replace(": A", ", at most 500 series trained on: A")
    assert any(title.startswith("Study masking, linear evaluation") for title in titles)


def test_published_numbers():
    assert published("linear", None, "accuracy", "HAR") == {"Rand. Init.": 36.51, "FEI": 79.54}
    assert published("probe", None, "accuracy", "HAR")["FEI"] == 79.54
    assert published("finetune", "rivals", "accuracy", "EMG")["TimesURL"] == 73.17
    assert tuple(published("linear", "rivals", "accuracy", "UCR")) == METHODS
    assert published("linear", "ablation", "accuracy", "GES")["w/o mask prompt"] == 38.33
    assert published("linear", "masking", "accuracy", "FDB")["TDM"] == 54.02
    assert published("finetune", None, "mae", "OC-A") == {"FEI": 0.185}
    assert published("finetune", None, "accuracy", "HAR") == {}
    assert published("linear", None, "f1", "EPI") == {}
    for study, variants in VARIANTS.items():
        assert len(variants) == len(STUDIES[study])


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.tags = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else_and_escapes_names(tmp_path):
    write_report([record(model="<b>&|"), record("a|b")], tmp_path)
    html = (tmp_path / "report.html").read_text()
    page = Page()
    page.feed(html)
    assert page.open == []
    assert not {"script", "link", "img", "b"} & set(page.tags)
    assert "http" not in html
    assert "&lt;b&gt;&amp;|" in html
    lines = (tmp_path / "report.md").read_text().split("\n\n")
    for table in (part.splitlines() for part in lines if part.startswith("|")):
        assert "<b>" not in table[0]
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1


def test_the_later_of_two_records_of_a_cell_counts(tmp_path):
    for name, accuracy in (("first", 0.1), ("second", 0.8)):
        ResultsFile(tmp_path / name).add(record(accuracy=accuracy))
    (kept,) = read_results(tmp_path / "first", tmp_path / "second")
    assert kept["metrics"]["accuracy"] == 0.8


def test_nothing_to_report(tmp_path):
    with pytest.raises(ValueError, match="no results"):
        write_report([], tmp_path)
    with pytest.raises(FileNotFoundError, match="no results file"):
        read_results(tmp_path / "absent.jsonl")
