"""Which detection takes which object: as pycocotools has it, to the last one."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scenes import IDS, random_dataset, random_detections

from lhrcnn.evaluation import columns
from lhrcnn.evaluation.analysis.matches import match
from lhrcnn.evaluation.metrics import coco_backends


def of_pycocotools(dataset, detections):
    """pycocotools' evalImgs for all sizes of objects."""
    rows = columns.image_rows(dataset)
    objects, found = columns.objects_of(dataset, rows), columns.found_of(detections, rows)

    def indexed(annotations):
        made = COCO()
        made.dataset = {
            "images": [{"id": k + 1} for k in range(len(rows))],
            "categories": [{"id": k + 1} for k in range(dataset.num_classes)],
            "annotations": annotations,
        }
        made.createIndex()
        return made

    make = coco_backends._annotations
    areas = found.boxes[:, 2:].prod(axis=1)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = indexed(make(objects, objects.areas, iscrowd=objects.crowd.astype(int)))
        results = indexed(make(found, areas, score=found.scores, iscrowd=np.zeros(len(areas), int)))
        evaluation = COCOeval(truth, results, "bbox")
        evaluation.params.areaRng = evaluation.params.areaRng[:1]
        evaluation.evaluate()
    return [image for image in evaluation.evalImgs if image]


@pytest.mark.parametrize("seed", range(12))
def test_as_pycocotools(seed):
    rng = np.random.default_rng(seed)
    dataset = random_dataset(rng, ids=IDS[seed % len(IDS)])
    found = random_detections(rng, dataset)
    if seed % 2:  # corners on a grid: overlaps on thresholds, many of them equal
        for boxes in [record.boxes for record in dataset.records] + [found.boxes]:
            boxes[:] = boxes // 10 * 10
            boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 10)
    matches, seen = match(dataset, found), 0
    for image in of_pycocotools(dataset, found):
        mine = np.flatnonzero(
            (matches.found.images == image["image_id"] - 1)
            & (matches.found.classes == image["category_id"] - 1)
        )
        np.testing.assert_array_equal(matches.found.scores[mine], image["dtScores"])
        np.testing.assert_array_equal(matches.taken[:, mine] + 1, image["dtMatches"])
        np.testing.assert_array_equal(matches.ignored[:, mine], image["dtIgnore"].astype(bool))
        seen += len(mine)
    assert seen == len(found)


def test_the_hundred_best_of_an_image_and_class_count():
    rng = np.random.default_rng(0)
    dataset = random_dataset(rng, num_images=2, num_classes=2)
    found = random_detections(rng, dataset, num_false=400)
    matches = match(dataset, found)
    assert np.bincount(matches.found.classes).max() <= 100 + len(found) - 400
    for k in range(2):
        mine = (found.image_ids == dataset.records[0].image_id) & (found.classes == k)
        best = np.sort(found.scores[mine])[::-1][:100]
        row = matches.records.index(dataset.records[0])
        kept = (matches.found.images == row) & (matches.found.classes == k)
        np.testing.assert_allclose(matches.found.scores[kept], best)
