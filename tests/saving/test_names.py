"""Models by name: folders, bundled checkpoints, and ids of a model hub."""

from __future__ import annotations

from pathlib import Path

import pytest
from quick import quick

from fei_sklearn import FEIEmbedder
from fei_sklearn._saving import names
from fei_sklearn._saving.folder import CONFIG, WEIGHTS

# Folders by name


def test_an_unknown_name_lists_what_there_is(hub):
    for name in ("no such name", "./no/such", "../name", "/no/such", "~/name", ""):
        with pytest.raises(ValueError, match=r"There is no model.*'owner/name'.*bundled"):
            FEIEmbedder.from_pretrained(name)
    hub.snapshot_download.assert_not_called()


def test_a_bundled_checkpoint_goes_by_its_name(plain, tmp_path, monkeypatch):
    monkeypatch.setattr(names, "BUNDLED", tmp_path)
    plain.embedder.save(tmp_path / "small-walks")
    plain.check(FEIEmbedder.from_pretrained("small-walks"))
    with pytest.raises(ValueError, match=r"bundled checkpoints \['small-walks'\]"):
        FEIEmbedder.from_pretrained("large-walks")


def test_a_bundled_name_wins_over_a_folder_of_that_name(plain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain.embedder.save("fei-tiny")
    bundled = FEIEmbedder.from_pretrained("fei-tiny")
    assert bundled.stage_widths_ != plain.embedder.stage_widths_
    for path in ("./fei-tiny", Path("fei-tiny"), tmp_path / "fei-tiny"):
        plain.check(FEIEmbedder.from_pretrained(path))


def test_from_pretrained_takes_a_folder(plain, saved):
    plain.check(FEIEmbedder.from_pretrained(saved))
    plain.check(FEIEmbedder.from_pretrained(str(saved), device="cpu"))


# Ids of a hub


def test_from_pretrained_takes_an_id_of_the_hub(plain, saved, hub):
    hub.snapshot_download.return_value = str(saved)
    plain.check(FEIEmbedder.from_pretrained("owner/name"))
    plain.check(quick(pretrained="owner/name", max_epochs=0).fit(plain.panel))
    call = hub.snapshot_download.call_args
    assert call.args == ("owner/name",)
    assert sorted(call.kwargs["allow_patterns"]) == [CONFIG, WEIGHTS]


def test_a_folder_comes_before_the_hub(plain, tmp_path, hub, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain.embedder.save("owner/name")
    plain.check(FEIEmbedder.from_pretrained("owner/name"))
    hub.snapshot_download.assert_not_called()


def test_a_revision_of_the_hub_is_taken(plain, saved, hub):
    hub.snapshot_download.return_value = str(saved)
    plain.check(FEIEmbedder.from_pretrained("owner/name", revision="v1"))
    assert hub.snapshot_download.call_args.kwargs["revision"] == "v1"


def test_an_id_may_end_in_its_revision(plain, saved, hub, tmp_path, monkeypatch):
    hub.snapshot_download.return_value = str(saved)
    plain.check(quick(pretrained="owner/name@v1", max_epochs=0).fit(plain.panel))
    assert hub.snapshot_download.call_args.args == ("owner/name",)
    assert hub.snapshot_download.call_args.kwargs["revision"] == "v1"
    hub.snapshot_download.reset_mock()
    monkeypatch.chdir(tmp_path)
    plain.embedder.save("name@v1")
    plain.check(FEIEmbedder.from_pretrained("name@v1"))
    hub.snapshot_download.assert_not_called()


@pytest.mark.parametrize("name", ["./saved", "/somewhere/saved", "fei-tiny"])
def test_a_folder_has_no_revision(name, hub):
    with pytest.raises(ValueError, match=r"revision='v1' needs the id 'owner/name'.*leave"):
        FEIEmbedder.from_pretrained(name, revision="v1")
    hub.snapshot_download.assert_not_called()


@pytest.mark.parametrize(
    "name",
    ["models/tpyo", Path("owner/name"), "own er/name", "owner/name?", "owner\\x/name"],
)
def test_a_path_that_is_mistyped_does_not_go_to_the_hub(name, tmp_path, hub, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("models").mkdir()
    with pytest.raises(ValueError, match="There is no model"):
        FEIEmbedder.from_pretrained(name)
    hub.snapshot_download.assert_not_called()
