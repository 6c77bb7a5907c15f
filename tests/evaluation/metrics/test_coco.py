"""COCO numbers: golden values, the two backends against each other, edge cases, and wrong files."""

import contextlib
import dataclasses
import io
import json
import math
import sys

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scenes import IDS, random_dataset, random_detections, record

from lhrcnn.config import EvalConfig
from lhrcnn.data.schema import Dataset
from lhrcnn.errors import DataError
from lhrcnn.evaluation import detections, scoring
from lhrcnn.evaluation.coco_files import read_annotations, read_results
from lhrcnn.evaluation.metrics import BACKENDS, coco

GOLDEN = dict(
    zip(
        coco.STATISTICS,
        [0.505, 0.697, 0.573, 0.586, 0.519, 0.501, 0.387, 0.594, 0.595, 0.640, 0.566, 0.564],
    )
)


def assert_same(first, second):
    np.testing.assert_allclose(
        [first[key] for key in coco.STATISTICS],
        [second[key] for key in coco.STATISTICS],
        atol=1e-12,
    )
    assert list(first["per_class"]) == list(second["per_class"])
    np.testing.assert_allclose(
        list(first["per_class"].values()), list(second["per_class"].values()), atol=1e-12
    )


@pytest.fixture
def golden_files(shared):
    folder = shared / "data" / "coco_eval_golden"
    return (
        folder / "instances_val2014_100.json",
        folder / "instances_val2014_fakebbox100_results.json",
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_golden_numbers(golden_files, backend, capsys):
    metrics = scoring.score_files(*golden_files, EvalConfig(backend=backend))["coco"]
    assert {key: round(metrics[key], 3) for key in coco.STATISTICS} == GOLDEN
    assert len(metrics["per_class"]) == 80
    known = [value for value in metrics["per_class"].values() if not math.isnan(value)]
    assert np.mean(known) == pytest.approx(metrics["AP"])
    assert capsys.readouterr().out == ""


def test_golden_numbers_of_detections_in_single_precision(golden_files):
    dataset = read_annotations(golden_files[0])
    found = read_results(golden_files[1], dataset)
    records = [dataclasses.replace(r, boxes=r.boxes.astype(np.float32)) for r in dataset.records]
    as_readers_have_it = dataclasses.replace(dataset, records=records)
    assert_same(
        scoring.score(as_readers_have_it, found, EvalConfig())["coco"],
        scoring.score_files(*golden_files, EvalConfig())["coco"],
    )


def pycocotools_alone(annotations, results):
    """The numbers that pycocotools prints for two files, without lhrcnn."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
        evaluation = COCOeval(truth, truth.loadRes(str(results)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


@pytest.mark.parametrize("backend", BACKENDS)
def test_files_give_pycocotools_numbers(golden_files, backend):
    metrics = scoring.score_files(*golden_files, EvalConfig(backend=backend))["coco"]
    np.testing.assert_allclose(
        [metrics[key] for key in coco.STATISTICS], pycocotools_alone(*golden_files), atol=1e-12
    )


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "reference"])
@pytest.mark.parametrize("seed", range(40))
def test_backends_agree(seed, backend):
    rng = np.random.default_rng(seed)
    dataset = random_dataset(rng, ids=IDS[seed % len(IDS)])
    found = random_detections(rng, dataset)
    counted, reference = (
        scoring.score(dataset, found, EvalConfig(backend=name))["coco"]
        for name in (backend, "reference")
    )
    assert 0 < counted["AP"] < 1
    assert_same(counted, reference)


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "reference"])
@pytest.mark.parametrize("seed", range(20))
def test_backends_agree_where_overlaps_lie_on_thresholds(seed, backend):
    """Corners on a grid of ten give IoUs of 0.5, 0.6, 0.75 and the like, many of them equal."""
    rng = np.random.default_rng(seed)
    dataset = random_dataset(rng)
    for boxes in (one.boxes for one in dataset.records):
        boxes[:] = (boxes // 10) * 10
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 10)
    found = random_detections(rng, dataset)
    found.boxes[:] = (found.boxes // 10) * 10
    counted, reference = (
        scoring.score(dataset, found, EvalConfig(backend=name))["coco"]
        for name in (backend, "reference")
    )
    assert_same(counted, reference)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("ids", IDS)
def test_any_ids_give_the_same_numbers(ids, backend):
    metrics = []
    for some in (IDS[0], ids):
        rng = np.random.default_rng(7)
        dataset = random_dataset(rng, ids=some)
        found = random_detections(rng, dataset)
        metrics.append(scoring.score(dataset, found, EvalConfig(backend=backend))["coco"])
    assert_same(*metrics)


def test_a_detection_of_an_unknown_image_is_named():
    dataset, found = single([0, 0, 9, 9], [0, 0, 9, 9])
    with pytest.raises(DataError, match="image 6, which"):
        scoring.score(dataset, dataclasses.replace(found, image_ids=np.asarray([6])))


def test_without_hotcoco_the_numbers_are_the_same_and_a_line_says_so(monkeypatch, caplog):
    rng = np.random.default_rng(3)
    dataset = random_dataset(rng)
    found = random_detections(rng, dataset)
    fast = scoring.score(dataset, found, EvalConfig(backend="fast"))["coco"]
    monkeypatch.setitem(sys.modules, "hotcoco", None)
    assert_same(scoring.score(dataset, found, EvalConfig())["coco"], fast)
    assert caplog.text.count("hotcoco is not installed") == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_detected_is_zero(backend):
    dataset = random_dataset(np.random.default_rng(1))
    metrics = scoring.score(dataset, detections.empty(), EvalConfig(backend=backend))["coco"]
    assert metrics["AP"] == metrics["AR100"] == 0
    assert list(metrics["per_class"].values())[:-1] == [0.0] * 4
    assert math.isnan(metrics["per_class"]["class 4"])  # there is no object of it


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_truth_is_not_a_number(backend):
    rng = np.random.default_rng(2)
    dataset = random_dataset(rng)
    found = random_detections(rng, dataset)
    dataset.records = [record(image_id=one.image_id) for one in dataset.records]
    metrics = scoring.score(dataset, found, EvalConfig(backend=backend))["coco"]
    assert all(math.isnan(metrics[key]) for key in coco.STATISTICS)
    assert all(map(math.isnan, metrics["per_class"].values()))


def single(box, detected, ignore=False, area=None):
    """A data set of one box in image 5, and one detection of it."""
    one = record([box], ignore=ignore, image_id=5, areas=area and [area])
    return Dataset("single", [one], ["thing"], [7]), detections.of_image(5, [detected], [0.9], [0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_exact_box_is_found_in_its_size_class_only(backend):
    scene = single([10, 20, 50, 60], [10, 20, 50, 60])
    metrics = scoring.score(*scene, EvalConfig(backend=backend))["coco"]
    assert [metrics["AP"], metrics["APm"], metrics["AR1"]] == pytest.approx([1, 1, 1])
    assert math.isnan(metrics["APs"]) and math.isnan(metrics["APl"])


def test_size_class_follows_the_annotated_area():
    metrics = scoring.score(*single([10, 20, 50, 60], [10, 20, 50, 60], area=900))["coco"]
    assert metrics["APs"] == pytest.approx(1) and math.isnan(metrics["APm"])


def test_rows_and_columns_are_not_exchanged():
    metrics = scoring.score(*single([10, 20, 30, 200], [20, 10, 200, 30]), EvalConfig())["coco"]
    assert metrics["AP"] == 0


def test_detection_inside_a_crowd_is_not_counted():
    scene = single([0, 0, 100, 100], [10, 10, 20, 20], ignore=True)
    assert math.isnan(scoring.score(*scene)["coco"]["AP"])


def test_unknown_backend_and_metric_are_named():
    with pytest.raises(ValueError, match="'slow'.*hotcoco.*fast.*reference"):
        scoring.score(*single([0, 0, 9, 9], [0, 0, 9, 9]), EvalConfig(backend="slow"))
    with pytest.raises(ValueError, match="'voc12'.*voc07"):
        scoring.score(*single([0, 0, 9, 9], [0, 0, 9, 9]), EvalConfig(metrics=["coco", "voc12"]))


ANNOTATION = {"id": 0, "image_id": 3, "category_id": 8, "bbox": [1, 2, 30, 40]}
TRUTH = {
    "images": [{"id": 3}],
    "categories": [{"id": 8, "name": "a"}, {"id": 9, "name": "a"}],
    "annotations": [ANNOTATION],
}
RESULT = {"image_id": 3, "category_id": 8, "bbox": [1, 2, 30, 40], "score": 0.5}


def files(tmp_path, truth, results):
    (tmp_path / "truth.json").write_text(truth if isinstance(truth, str) else json.dumps(truth))
    (tmp_path / "results.json").write_text(
        results if isinstance(results, str) else json.dumps(results)
    )
    return tmp_path / "truth.json", tmp_path / "results.json"


def test_annotation_with_id_zero_and_without_area_counts(tmp_path):
    metrics = scoring.score_files(
        *files(tmp_path, TRUTH, [RESULT]), EvalConfig(metrics=["coco", "voc07"])
    )
    assert metrics["coco"]["AP"] == pytest.approx(1)
    assert metrics["coco"]["per_class"]["a (8)"] == pytest.approx(1) and math.isnan(
        metrics["coco"]["per_class"]["a (9)"]
    )


def changed(entry, **changes):
    return {**entry, **changes}


def truth_of(*more, annotation=ANNOTATION, **changes):
    """TRUTH with another annotation, changed, and with more of them."""
    return changed(TRUTH, annotations=[changed(annotation, **changes), *more])


POLYGON = {"id": 0, "image_id": 3, "category_id": 8, "segmentation": [[1, 2, 31, 2, 31, 42]]}
DIFFICULT = changed(ANNOTATION, id=2, bbox=[70, 5, 9, 9], attributes={"difficult": True})
OTHERS_FILES = {
    "repeated annotation ids": (truth_of(ANNOTATION), RESULT),
    "text ids": (
        changed(truth_of(image_id="a"), images=[{"id": "a"}]),
        changed(RESULT, image_id="a"),
    ),
    "ids beyond 64 bits": (
        changed(truth_of(image_id=2**64), images=[{"id": 2**64}]),
        changed(RESULT, image_id=2**64),
    ),
    "category ids beyond 64 bits": (
        changed(truth_of(category_id=2**70), categories=[{"id": 2**70, "name": "a"}]),
        changed(RESULT, category_id=2**70),
    ),
    "numbers in quotes": (TRUTH, changed(RESULT, image_id="3", category_id=8.0)),
    "no crowd in quotes": (truth_of(iscrowd="0"), RESULT),
    "repeated category": (changed(TRUTH, categories=2 * TRUTH["categories"]), RESULT),
    "a box without height": (truth_of(changed(ANNOTATION, id=1, bbox=[5, 5, 9, 0])), RESULT),
    "objects to be ignored": (
        truth_of(changed(ANNOTATION, id=1, bbox=[50, 5, 9, 9], ignore=1), DIFFICULT),
        RESULT,
    ),
    "a polygon without its box": (truth_of(annotation=POLYGON), RESULT),
    "null and negative": (
        changed(truth_of(iscrowd=None, area=-1), images=[{"id": 3, "width": None}]),
        RESULT,
    ),
    "sides that are none": (
        changed(TRUTH, images=[{"id": 3, "height": "tall", "width": float("nan")}]),
        RESULT,
    ),
}


@pytest.mark.parametrize("kind", OTHERS_FILES)
def test_files_of_other_tools_count_as_what_is_meant(tmp_path, kind):
    truth, result = OTHERS_FILES[kind]
    truth_file, results_file = files(tmp_path, truth, [result])
    metrics = scoring.score_files(truth_file, results_file, EvalConfig())
    assert metrics["coco"]["AP"] == pytest.approx(1)
    dataset = read_annotations(truth_file)
    (written,) = read_results(results_file, dataset).to_coco(dataset)
    assert written["image_id"] == truth["images"][0]["id"]
    assert written["category_id"] == truth["categories"][0]["id"]


@pytest.mark.parametrize(
    "results, message",
    [
        (
            [RESULT, changed(RESULT, image_id=4)],
            r"results.json: entry 1: 'image_id' is 4, not among the 1 images.*same data set",
        ),
        ([changed(RESULT, image_id="x")], "entry 0: 'image_id' is 'x'"),
        (
            [changed(RESULT, category_id=1)],
            r"entry 0: 'category_id' is 1, not among the 2 categories.*\(8, 9\)",
        ),
        (
            [changed(RESULT, bbox=[1, 2, 3])],
            r"entry 0: 'bbox' is \[1, 2, 3\]; expected \[x, y, width, height\]",
        ),
        ([changed(RESULT, bbox=[1, 2, -3, 4])], "entry 0: 'bbox'.*not negative"),
        ([changed(RESULT, bbox=[1, 2, float("nan"), 4])], "entry 0: 'bbox'.*finite"),
        ([changed(RESULT, image_id="--3")], "entry 0: 'image_id' is '--3'"),
        ([changed(RESULT, image_id="3" * 5000)], "entry 0: 'image_id' is '333"),
        ([changed(RESULT, bbox=[1, 2, 3, 10**400])], "entry 0: 'bbox' is .* finite"),
        ([changed(RESULT, score=10**400)], "entry 0: 'score' is 1000.* a finite number"),
        ([changed(RESULT, score=None)], "entry 0: 'score' is None"),
        ([{k: v for k, v in RESULT.items() if k != "bbox"}], "entry 0: 'bbox' is None"),
        ([changed(RESULT, bbox=[0.1, 0.2, 0.3, 0.5])], "they are shares of height and width"),
        (["x"], "entry 0: found 'x'; expected an object"),
        ({"images": []}, "expected a list of detections.*--annotations"),
        ("[{", "results.json: not readable as JSON"),
    ],
)
def test_wrong_results_are_named(tmp_path, results, message):
    with pytest.raises(DataError, match=message):
        scoring.score_files(*files(tmp_path, TRUTH, results))


@pytest.mark.parametrize(
    "truth, message",
    [
        ([], "truth.json: not a COCO detection file"),
        (changed(TRUTH, images={}), "truth.json: not a COCO.*no list under 'images'"),
        (changed(TRUTH, annotations=[]), "truth.json: no annotations"),
        (
            truth_of(bbox=[1, 2, -3, 4]),
            "truth.json: a box .* expected finite numbers, sides not negative",
        ),
        (truth_of(bbox=[0.1, 0.2, 0.3, 0.5]), "truth.json: .*they are shares of height and width"),
        (changed(TRUTH, images=[]), "images: the list is empty"),
        (
            changed(TRUTH, images=[{"id": 3}, {"id": 3}]),
            r"images\[1\]: 'id' is 3; expected a whole number or text",
        ),
        (changed(TRUTH, categories=[{"id": 8}]), r"categories\[0\]: 'name' is None"),
        (truth_of(image_id=1), r"truth.json: annotation id 0 \(image id 1\): no such image id"),
        ("x", "not readable as JSON"),
    ],
)
def test_wrong_annotations_are_named(tmp_path, truth, message):
    with pytest.raises(DataError, match=message):
        scoring.score_files(*files(tmp_path, truth, [RESULT]))


def test_a_mark_of_utf8_and_areas_that_cannot_be_meant(tmp_path):
    results = "\ufeff" + json.dumps([RESULT])
    truth_file, results_file = files(tmp_path, truth_of(area=0.01), results)
    truth_file.write_text("\ufeff" + truth_file.read_text())
    metrics = scoring.score_files(truth_file, results_file, EvalConfig())["coco"]
    assert metrics["APm"] == pytest.approx(1) and math.isnan(metrics["APs"])


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.json"):
        scoring.score_files(tmp_path / "nowhere.json", tmp_path / "results.json")


def test_detections_survive_coco_format_exactly(tmp_path):
    rng = np.random.default_rng(3)
    dataset = random_dataset(rng)
    found = random_detections(rng, dataset)
    (tmp_path / "found.json").write_text(json.dumps(found.to_coco(dataset)))
    again = read_results(tmp_path / "found.json", dataset)
    np.testing.assert_array_equal(again.image_ids, found.image_ids)
    np.testing.assert_array_equal(again.classes, found.classes)
    np.testing.assert_array_equal(again.scores.astype(np.float32), found.scores)
    np.testing.assert_allclose(again.boxes, found.boxes, atol=1e-9)


def test_nothing_survives_coco_format(tmp_path):
    dataset = random_dataset(np.random.default_rng(4))
    assert detections.empty().to_coco(dataset) == []
    (tmp_path / "found.json").write_text("[]")
    again = read_results(tmp_path / "found.json", dataset)
    assert again.boxes.shape == (0, 4) and len(again) == 0 and len(detections.concatenate([])) == 0
