"""Reports: Markdown, CSV, HTML and text of tables."""

from __future__ import annotations

import csv
import re
from html.parser import HTMLParser

import pytest
from result_records import record, regression_record

from fei_sklearn.evaluation import write_report
from fei_sklearn.evaluation.report import plain_text
from fei_sklearn.evaluation.tables import tables


def csv_rows(folder):
    with (folder / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def three_seeds():
    return [
        record(accuracy=0.90, seed=0),
        record(accuracy=0.92, seed=1),
        record(accuracy=0.97, seed=2),
    ]


def test_mean_and_deviation_over_seeds_beside_the_published_number(three_seeds, tmp_path):
    substitute = record("SLE-UCDDB", 0.5)
    write_report([*three_seeds, substitute], tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text()
    assert "| set | mine | Rand. Init. (published) | FEI (published) |" in text
    assert "| EPI | 93.00 ± 3.61 | 19.79 | 96.84 |" in text
    assert "| SLE-UCDDB | 50.00 |  |  |" in text  # a substitute has no published number
    assert "not the paper's data" in text


def test_the_csv_has_a_line_per_score_and_published_number(three_seeds, tmp_path):
    write_report(three_seeds, tmp_path)
    rows = [row for row in csv_rows(tmp_path) if row["metric"] == "accuracy"]
    ours, random, fei = rows
    assert (ours["set"], ours["model"], ours["seeds"]) == ("EPI", "mine", "3")
    assert float(ours["mean"]) == pytest.approx(93.0)
    assert float(ours["std"]) == pytest.approx(3.60555, abs=1e-4)
    assert (random["model"], random["mean"]) == ("Rand. Init. (published)", "19.79")
    assert (fei["model"], fei["mean"], fei["seeds"]) == ("FEI (published)", "96.84", "0")


def test_the_csv_has_the_number_of_labels(tmp_path):
    settings = {"standardise": "model"}
    write_report([record(settings=settings), record(settings=settings | {"labels": 5})], tmp_path)
    rows = [row for row in csv_rows(tmp_path) if row["metric"] == "f1"]
    assert [row["labels"] for row in rows] == ["", "5"]


def test_errors_are_not_percentages(tmp_path):
    write_report([regression_record(0.034, 0.145)], tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "| FD001 | 0.0340 | 0.065 | 0.034 |" in text
    assert "| FD001 | 0.1450 | 0.233 | 0.145 |" in text


def test_the_archives_mean_is_over_the_sets_that_all_models_have(tmp_path):
    accuracies = {"A": 0.5, "B": 0.7, "C": 0.9}
    records = [record(f"UCR:{name}", accuracy) for name, accuracy in accuracies.items()]
    records += [record(f"UCR:{name}", 0.6, model="other") for name in "AB"]
    write_report(records, tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "| UCR, mean of 2 (paper: 128) | 60.00 | 60.00 | 39.03 | 78.17 |" in text
    assert "| C | 90.00 |  |  |  |" in text


def test_columns_of_plain_text_are_aligned():
    records = [record(), record("a longer name", 0.05)]
    first, _ = plain_text(tables(records)).split("\n\n")
    title, header, *rows = first.splitlines()
    assert title.endswith(": Accuracy, %")
    assert header.startswith("set             mine")
    assert rows[0].startswith("EPI            90.00")
    assert rows[1] == "a longer name   5.00"


class Page(HTMLParser):
    """Parser that checks that tags are closed in order."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.tags = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def odd_names(tmp_path):
    write_report([record(model="<b>&|"), record("a|b")], tmp_path)
    return tmp_path


def test_the_page_needs_no_other_file_and_escapes_names(odd_names):
    html = (odd_names / "report.html").read_text()
    page = Page()
    page.feed(html)
    assert page.open == []
    assert not {"script", "link", "img", "b"} & set(page.tags)
    assert "http" not in html
    assert "&lt;b&gt;&amp;|" in html


def test_published_cells_of_the_page_are_marked(odd_names):
    html = (odd_names / "report.html").read_text()
    assert '<th>mine</th><th class="published">Rand. Init. (published)</th>' in html
    assert '<td>90.00</td><td></td><td class="published">19.79</td>' in html


def test_names_are_escaped_in_markdown(odd_names):
    blocks = (odd_names / "report.md").read_text().split("\n\n")
    grids = [block.splitlines() for block in blocks if block.startswith("|")]
    assert len(grids) == 2
    for lines in grids:
        assert "<b>" not in lines[0]
        n_cells = [len(re.findall(r"(?<!\\)\|", line)) for line in lines]
        assert len(set(n_cells)) == 1


def test_nothing_to_report(tmp_path):
    with pytest.raises(ValueError, match="no results"):
        write_report([], tmp_path)


def test_a_file_in_the_folders_place_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="file' cannot be made"):
        write_report([record()], tmp_path / "file")
