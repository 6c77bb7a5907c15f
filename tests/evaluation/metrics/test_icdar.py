"""Metrics of scene text: every branch of DetEval and of the IoU protocol, counted by hand."""

import json

import numpy as np
import pytest
from scenes import record

from lhrcnn.config import EvalConfig
from lhrcnn.data.readers.icdar import read_truth
from lhrcnn.data.schema import Dataset
from lhrcnn.evaluation import scoring, tables
from lhrcnn.evaluation.detections import concatenate, of_image


def span(start, end, top=0, bottom=10):
    """A box on a line of text, (ymin, xmin, ymax, xmax)."""
    return top, start, bottom, end


def image(words, ignored=(), image_id=1):
    boxes = np.array([*words, *ignored], np.float32)
    ignore = np.arange(len(boxes)) >= len(words)
    return record(boxes, ignore=ignore, image_id=image_id, size=(1000, 1000))


def found(boxes, scores=None, image_id=1):
    scores = np.ones(len(boxes)) if scores is None else scores
    return of_image(image_id, boxes, scores, np.zeros(len(boxes)))


def metrics(protocol, words, boxes, ignored=(), scores=None):
    dataset = Dataset("one", [image(words, ignored)], ["text"], [1])
    return scored(dataset, found(boxes, scores), protocol)


def scored(dataset, detections, protocol):
    return scoring.score(dataset, detections, EvalConfig(metrics=[protocol]))[protocol]


WORD, FAR, THREE = span(0, 100), span(500, 600), [span(0, 30), span(30, 60), span(60, 95)]
DETEVAL = {  # words, detections, recall, precision
    "the same": ([WORD], [WORD], 1, 1),
    "nothing found": ([WORD], [], 0, 0),
    "nothing to find": ([], [WORD], 0, 0),
    "elsewhere": ([WORD], [FAR], 0, 0),
    "one of two words": ([WORD, FAR], [WORD], 0.5, 1),
    "one of two detections": ([WORD], [WORD, FAR], 1, 0.5),
    "recall 0.8": ([WORD], [span(0, 80)], 1, 1),
    "recall 0.79": ([WORD], [span(0, 79)], 0, 0),
    "precision 0.4": ([WORD], [span(0, 250)], 1, 1),
    "precision below 0.4": ([WORD], [span(0, 251)], 0, 0),
    "split in two": ([WORD], [span(0, 50), span(50, 90)], 0.8, 0.8),
    "split in three, with a stranger": ([WORD], [*THREE, FAR], 0.8, 3 * 0.8 / 4),
    "split, too little of it": ([WORD], [span(0, 40), span(60, 99)], 0, 0),
    "a part of a split that is mostly elsewhere": ([WORD], [span(0, 50), span(65, 200)], 0, 0),
    "twice nearly the same detection": ([WORD], [span(0, 98), span(0, 90)], 0.8, 0.8),
    "twice, one of them exact": ([WORD], [WORD, span(0, 90)], 0.8, 0.8),
    "one part of a split is enough": ([WORD, span(0, 60)], [span(0, 95), span(96, 200)], 0.5, 0.5),
    "one to one, beside a bit of another detection": ([WORD], [span(0, 90), span(90, 300)], 1, 0.5),
    "merged": ([span(0, 40), span(60, 100)], [span(0, 100)], 1, 1),
    "merged, mostly background": ([span(0, 15), span(85, 100)], [span(0, 100)], 0, 0),
    # One to one with the first alone.
    "merged, one word cut": ([span(0, 40), span(50, 100)], [span(0, 80)], 0.5, 1),
    "merged beside one to one": ([span(0, 40), span(60, 100), FAR], [span(0, 100), FAR], 1, 1),
    "merged by .45 and .39 of the detection": ([span(0, 45), span(50, 89)], [span(0, 100)], 1, 1),
    "split before merged": ([WORD, span(100, 120)], [span(0, 50), span(50, 120)], 0.8 / 2, 0.8),
    "a word and a bit of another": ([span(0, 60), span(60, 100)], [span(0, 75)], 0.5, 1),
    "words that lie in words": ([WORD, span(0, 60)], [WORD, span(0, 60)], 0.8 / 2, 0.8),
}


@pytest.mark.parametrize("name", DETEVAL)
def test_deteval_by_hand(name):
    words, boxes, recall, precision = DETEVAL[name]
    result = metrics("deteval", words, boxes)
    assert (result["recall"], result["precision"]) == pytest.approx((recall, precision), abs=1e-6)
    hmean = 2 * recall * precision / (recall + precision) if recall else 0
    assert result["hmean"] == pytest.approx(hmean)


def test_wolf_and_jolion_give_merged_words_less():
    merged = [span(0, 40), span(60, 100)], [span(0, 100)]
    assert metrics("wolf_jolion", *merged)["recall"] == pytest.approx(0.8)
    split = [WORD], [span(0, 50), span(50, 90)]
    assert metrics("wolf_jolion", *split) == metrics("deteval", *split)


@pytest.mark.parametrize(
    "protocol, golden",
    [
        ("deteval", "icdar2013_deteval"),
        ("wolf_jolion", "icdar2013_deteval_merged_0.8"),
        ("icdar_iou", "icdar2015_iou"),
    ],
)
def test_as_the_public_scripts_count(shared, protocol, golden):
    content = json.loads((shared / "golden" / "icdar_scenes.json").read_text(encoding="utf-8"))
    records, parts = [], []
    for image_id, scene in enumerate(content["scenes"], start=1):
        words = np.array(scene["words"], np.float64).reshape(-1, 5)
        records.append(record(words[:, :4], ignore=words[:, 4], image_id=image_id))
        boxes = found(scene["detections"], image_id=image_id)
        boxes.boxes = np.array(scene["detections"], np.float64).reshape(-1, 4)
        parts.append(boxes)
    result = scored(Dataset("scenes", records, ["text"], [1]), concatenate(parts), protocol)
    assert result == pytest.approx(content["expected"][golden], abs=5.1e-7)


IOU = {
    "the same": ([WORD], [WORD], 1, 1),
    "nothing found": ([WORD], [], 0, 0),
    "elsewhere": ([WORD], [FAR], 0, 0),
    "IoU 0.5 is too little": ([WORD], [span(0, 50)], 0, 0),
    "IoU 0.51": ([WORD], [span(0, 51)], 1, 1),
    "split": ([WORD], [span(0, 60), span(60, 100)], 1, 0.5),
    "merged": ([span(0, 40), span(60, 100)], [span(0, 100)], 0, 0),
    "twice": ([WORD], [WORD, span(0, 90)], 1, 0.5),
    "two words, one detection": ([WORD, span(0, 95)], [WORD], 0.5, 1),
}


@pytest.mark.parametrize("name", IOU)
def test_iou_by_hand(name):
    words, boxes, recall, precision = IOU[name]
    result = metrics("icdar_iou", words, boxes)
    assert (result["recall"], result["precision"]) == pytest.approx((recall, precision))


@pytest.mark.parametrize("protocol, share", [("deteval", 0.4), ("icdar_iou", 0.5)])
def test_ignored_words_and_what_lies_in_them_do_not_count(protocol, share):
    ignored = [span(500, 600)]
    assert metrics(protocol, [WORD], [WORD], ignored)["hmean"] == 1
    assert metrics(protocol, [WORD], [WORD, span(510, 530)], ignored)["hmean"] == 1
    # No more than the share inside: a false detection.
    half_out = span(600 - 100 * share, 700 - 100 * share)
    assert metrics(protocol, [WORD], [WORD, half_out], ignored)["precision"] == 0.5
    assert set(metrics(protocol, [], [span(500, 600)], ignored).values()) == {0.0}


def test_detections_below_the_score_do_not_count():
    assert metrics("deteval", [WORD], [WORD, FAR], scores=[0.5, 0.49])["hmean"] == 1
    assert metrics("icdar_iou", [WORD], [WORD], scores=[0.4])["recall"] == 0


def test_images_are_summed_up_not_averaged():
    images = [image([WORD]), image([WORD, FAR, span(200, 300)], image_id=2)]
    dataset = Dataset("two", images, ["text"], [1])
    boxes = concatenate([found([WORD], image_id=2), found([FAR, WORD, span(700, 800)])])
    result = scored(dataset, boxes, "deteval")
    assert (result["recall"], result["precision"]) == (2 / 4, 2 / 4)


def test_metrics_by_name_and_in_the_report():
    dataset = Dataset("one", [image([WORD])], ["text"], [1])
    both = scoring.score(dataset, found([WORD]), EvalConfig(metrics=["deteval", "icdar_iou"]))
    assert both["deteval"]["hmean"] == both["icdar_iou"]["hmean"] == 1
    assert tables.format_tables(both) == (
        "DetEval (ICDAR 2013) H-mean 1.000 (recall 1.000, precision 1.000)  "
        "ICDAR IoU H-mean 1.000 (recall 1.000, precision 1.000)"
    )


def test_truth_against_itself_is_perfect(shared):
    records, parts = [], []
    files = sorted((shared / "data" / "icdar2013" / "gt").iterdir())
    for image_id, file in enumerate(files, start=1):
        boxes, _ = read_truth(file, [])
        records.append(image(boxes, image_id=image_id))
        parts.append(found(boxes, image_id=image_id))
    dataset = Dataset("2013", records, ["text"], [1])
    assert set(scored(dataset, concatenate(parts), "icdar_iou").values()) == {1.0}
