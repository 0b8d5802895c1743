"""`fei-sklearn report`."""

from __future__ import annotations

from result_records import record

from fei_sklearn.evaluation.results import ResultsFile


def test_the_report_has_a_column_per_model(data, command):
    file = ResultsFile("r.jsonl")
    for model in ("model", "random", "raw"):
        file.add(record(model=model))
    done = command("report r.jsonl --out report")
    assert (done.code, done.err) == (0, "")
    paths = ["report/report.md", "report/results.csv", "report/report.html"]
    assert done.out.split() == paths
    text = (data.parent / "report/report.md").read_text()
    assert "| set | model | random | raw | Rand. Init. (published) |" in text
