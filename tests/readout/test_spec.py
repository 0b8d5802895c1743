"""Specification of a readout: what "auto" chooses, and the numbers of features."""

from __future__ import annotations

import pytest
from quick import quick, walks

from fei_sklearn.readout.spec import (
    LADDER,
    MOST_FEATURES,
    MOST_FRONT_FEATURES,
    VIEWS,
    FrontSpec,
    ReadoutSpec,
    resolve,
    resolve_front,
)

TINY, SMALL, BIG = (tuple(width // n for n in (8, 4, 2, 1)) for width in (128, 256, 1024))


def auto(stage_widths, n_encoded=1, **given):
    params = {"pooling": "auto", "layers": "auto", "views": "auto"} | given
    return resolve(**params, stage_widths=stage_widths, n_encoded=n_encoded)


@pytest.mark.parametrize(
    ("stage_widths", "n_encoded", "rung"),
    [
        (TINY, 1, 0),
        (TINY, 2, 0),
        (TINY, 3, 1),
        (SMALL, 2, 1),
        (BIG, 1, 1),
        (BIG, 2, 2),
        (BIG, 99, 2),
    ],
)
def test_auto_is_the_richest_that_is_small_enough(stage_widths, n_encoded, rung):
    spec = auto(stage_widths, n_encoded)
    assert spec == LADDER[rung]
    sizes = [n_encoded * step.n_features(stage_widths) for step in LADDER]
    assert all(size > MOST_FEATURES for size in sizes[:rung])
    assert sizes[rung] <= MOST_FEATURES or rung == 2


def test_the_numbers_of_features():
    assert ReadoutSpec().n_features(TINY) == 128
    of_blocks = (1 + 1 + 15) * 2 * (16 + 32) + (1 + 1 + 9) * 2 * 64 + (1 + 1 + 5) * 2 * 128
    assert auto(TINY).n_features(TINY) == 3 * of_blocks == 14496
    assert LADDER[1].n_features(TINY) == of_blocks and LADDER[2].n_features(TINY) == 3 * 240
    assert auto(TINY, pooling="ppv").n_features(TINY) == 5 * 128
    assert auto(TINY, pooling=None).n_features(TINY) == 128


def test_small_is_the_leanest():
    assert auto(TINY, pooling="small") == LADDER[-1]
    assert auto((64,), pooling="small") == ReadoutSpec()


@pytest.mark.parametrize(
    ("pooling", "n_encoded", "n_groups"), [("auto", 1, 2), ("auto", 2, 1), ("small", 1, 1)]
)
def test_the_front_has_fewer_kernels_for_several_channels(pooling, n_encoded, n_groups):
    spec = resolve_front(pooling, "auto", n_encoded=n_encoded)
    assert spec == FrontSpec(("level", "change", "halved", "sum"), n_groups)
    both = FrontSpec().n_features
    assert both <= MOST_FRONT_FEATURES < 2 * both


def test_views_of_the_front_are_those_given():
    assert resolve_front("auto", "shape").views == ("shape",)
    assert resolve_front("auto", ("sum", "level"), n_encoded=2) == FrontSpec(("sum", "level"), 2)
    with pytest.raises(ValueError, match=r"'halved', 'sum' or a tuple.*'spectrum'"):
        resolve_front("auto", "spectrum")


def test_an_encoder_without_stages_has_its_mean():
    assert auto((64,)) == auto((64,), n_encoded=100) == ReadoutSpec(("mean",), "last", ("level",))


def test_what_is_given_goes_before_auto():
    assert auto(TINY, pooling="max") == ReadoutSpec(("max",), "last", ("level",))
    assert auto(TINY, pooling=["std", "ppv"], views=("change", "level"), layers="all") == (
        ReadoutSpec(("std", "ppv"), "all", ("change", "level"))
    )
    assert auto(TINY, layers="last") == ReadoutSpec(LADDER[0].statistics, "last", VIEWS)
    assert auto(TINY, views="shape") == ReadoutSpec(LADDER[0].statistics, "blocks", ("shape",))
    assert auto(TINY, pooling=None) == ReadoutSpec((), "last", ("level",))


@pytest.mark.parametrize("name", ["pooling", "views"])
@pytest.mark.parametrize("value", ["median", (), [], ("mean", "mean"), ("level", 3), ("auto",)])
def test_names_that_are_none_are_refused(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be one of .* different ones, got") as error:
        auto(TINY, **{name: value})
    assert repr(value) in str(error.value)


def test_the_embedder_refuses_views_by_name_and_value():
    with pytest.raises(ValueError, match=r"views.*'sideways'"):
        quick(views=("level", "sideways")).fit(walks())
    with pytest.raises(ValueError, match=r"views=\('level', 'shape'\)"):
        quick(pooling=None, views=("level", "shape")).fit(walks())


def test_features_of_a_front_end_are_counted_and_grouped():
    default = FrontSpec()
    assert default.n_features == 2688
    assert FrontSpec(n_groups=1).n_features == 1344
    groups = default.feature_groups()
    assert [group.view for group in groups[::4]] == ["level", "change", "halved", "sum"]
    assert [group.statistic for group in groups[:4]] == ["max", "ppv", "wins", "peaks"]
    ends = [0] + [group.columns.stop for group in groups]
    assert [group.columns.start for group in groups] == ends[:-1]
    assert ends[-1] == default.n_features
