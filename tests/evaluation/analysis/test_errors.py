"""Kinds of error, their costs, confusion, LRP and groups: beside hotcoco, loops, golden numbers."""

import json
import math

import numpy as np
import pytest
from reference import mistakes
from scenes import random_dataset, random_detections

from lhrcnn.evaluation import columns
from lhrcnn.evaluation.analysis import errors, groups, lrp
from lhrcnn.evaluation.analysis.confusion import confusion_matrix
from lhrcnn.evaluation.analysis.curves import calibration, columns_of
from lhrcnn.evaluation.analysis.matches import match
from lhrcnn.evaluation.coco_files import read_annotations, read_results
from lhrcnn.evaluation.metrics import coco_backends


def scene(seed, crowds=True):
    """Without ties, about which libraries differ."""
    rng = np.random.default_rng(seed)
    dataset = random_dataset(rng)
    found = random_detections(rng, dataset)
    found.scores = rng.permutation(len(found)) / len(found)
    for record in dataset.records if not crowds else ():
        record.ignore[:] = False
    return dataset, found


def hotcoco(dataset, found, monkeypatch):
    """hotcoco's COCOeval after `evaluate`."""
    pytest.importorskip("hotcoco")
    rows, kept = columns.image_rows(dataset), []

    def evaluated(kind, truth, results):
        kept.append(kind(truth, results, "bbox"))
        kept[0].evaluate()

    monkeypatch.setattr(coco_backends, "_evaluated", evaluated)
    sizes = len(rows), dataset.num_classes
    coco_backends.hotcoco(*sizes, columns.objects_of(dataset, rows), columns.found_of(found, rows))
    return kept[0]


@pytest.mark.parametrize("seed", range(6))
def test_without_crowds_as_hotcoco(seed, monkeypatch):
    dataset, found = scene(seed, crowds=False)
    matches, library = match(dataset, found), hotcoco(dataset, found, monkeypatch)
    mine, tide = errors.errors_of(matches), library.tide_errors()
    assert errors.counts(mine) == tide["counts"]
    costs = errors.costs(matches, mine)
    assert costs == pytest.approx({kind: tide["delta_ap"][kind] for kind in costs}, abs=1e-12)
    matrix = confusion_matrix(matches, np.zeros(5))
    np.testing.assert_array_equal(matrix, library.confusion_matrix()["matrix"])
    bins = calibration(matches.found.scores, matches.true[0].astype(float))
    assert bins["ece"] == pytest.approx(library.calibration()["ece"], abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_kinds_one_by_one(seed):
    dataset, found = scene(seed)
    matches = match(dataset, found)
    mine, objects = errors.errors_of(matches), matches.objects
    assert objects.crowd.any() and matches.ignored[0].any()
    for d, (image, label, box) in enumerate(
        zip(matches.found.images, matches.found.classes, matches.found.boxes)
    ):
        near = np.flatnonzero((objects.images == image) & ~objects.crowd)
        truth = [(objects.boxes[g], objects.classes[g]) for g in near]
        right = matches.true[0, d] or matches.ignored[0, d]
        expected = "" if right else mistakes.kind_of(box, label, truth)
        assert (list(errors.KINDS)[mine.kind[d]] if mine.kind[d] >= 0 else "") == expected
    assert not (mine.missed & objects.crowd).any()


def area_under_all(matches, dropped=()):
    """Mean over classes of the precision at each true detection: AP50 without interpolation."""
    counts, values = matches.counts(), []
    for k in np.flatnonzero(counts):
        mine = (matches.found.classes == k) & ~matches.ignored[0]
        mine[list(dropped)] = False
        true = matches.true[0, mine]
        precision = np.cumsum(true) / np.arange(1, len(true) + 1)
        values.append(precision[true].sum() / counts[k])
    return np.mean(values)


def test_the_share_of_a_false_detection_is_what_dropping_it_gains():
    matches = match(*scene(3))
    mine = errors.errors_of(matches)
    of_detection, of_object = errors.shares(matches, mine)
    base = area_under_all(matches)
    for d in np.flatnonzero((mine.kind >= 0) & ~mine.mends):
        gain = area_under_all(matches, [d]) - base
        assert of_detection[d] == pytest.approx(gain, abs=1e-12)
    assert (of_detection[mine.kind < 0] == 0).all() and (of_detection[mine.mends] > 0).all()
    assert ((of_object > 0) <= mine.missed).all()


def test_detections_in_crowds_are_not_confused_with_background():
    dataset, found = scene(2)
    matches = match(dataset, found)
    matrix = confusion_matrix(matches, np.zeros(5))
    assert matrix[:-1].sum() == (~matches.objects.crowd).sum()
    lies_in_crowd = matches.ignored[0].sum()
    assert lies_in_crowd and matrix[:, :-1].sum() <= len(matches.found.scores) - lies_in_crowd
    assert confusion_matrix(matches, np.full(5, 2.0))[:-1, -1].sum() == matrix[:-1].sum()


@pytest.mark.parametrize("seed", range(6))
def test_lrp_by_trying_all_thresholds(seed):
    rng = np.random.default_rng(seed)
    dataset = random_dataset(rng)
    matches = match(dataset, random_detections(rng, dataset))  # with ties
    rows, means = lrp.lrp_of(matches)
    for k, row in enumerate(rows):
        mine = (matches.found.classes == k) & ~matches.ignored[0]
        own = matches.found.scores[mine], matches.true[0, mine], matches.iou[0, mine]
        if not matches.counts()[k]:
            assert all(map(math.isnan, row.values()))
            continue
        expected = mistakes.optimal_lrp(*(column.tolist() for column in own), matches.counts()[k])
        known = {name: value for name, value in row.items() if not math.isnan(value)}
        assert known == pytest.approx(expected, abs=1e-12)
    assert means["olrp"] == pytest.approx(np.nanmean([row["olrp"] for row in rows]))


def test_lrp_is_its_authors(shared):
    folder = shared / "data" / "coco_eval_golden"
    dataset = read_annotations(folder / "instances_val2014_100.json")
    found = read_results(folder / "instances_val2014_fakebbox100_results.json", dataset)
    golden = json.loads((shared / "golden" / "lrp.json").read_text(encoding="utf-8"))
    golden = golden["coco_eval_golden"]
    rows, means = lrp.lrp_of(match(dataset, found))
    for part, column in (
        ("olrp", "olrp"),
        ("localisation", "olrp_loc"),
        ("fp", "olrp_fp"),
        ("fn", "olrp_fn"),
        ("score", "lrp_opt_thr"),
    ):
        for row, value in zip(rows, golden[column]):
            if value in (-1.0, None):
                assert math.isnan(row[part])
            else:
                assert row[part] == pytest.approx(value, abs=1e-5)
    expected = [0.501487, 0.132969, 0.127356, 0.231174]
    assert [means[k] for k in ("olrp", "localisation", "fp", "fn")] == pytest.approx(
        expected, abs=1e-5
    )


def test_groups_hold_every_object_once_and_all_of_them_have_the_whole_ap():
    dataset, found = scene(5)
    matches = match(dataset, found)
    for parts in groups.groups_of(matches).values():
        assert (np.sum(list(parts.values()), axis=0) == 1).all()
    everything = {"all": {"all": np.ones(len(matches.objects.classes), bool)}}
    row = groups.ap_of_groups(matches, everything)["all"]["all"]
    expected = np.nanmean([part.ap() for part in columns_of(matches)])
    assert row["AP"] == pytest.approx(expected, abs=1e-12)
    assert row["objects"] == matches.counts().sum()
