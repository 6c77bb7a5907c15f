"""The libraries that count COCO's numbers, behind one function each, the `BACKENDS`.

A backend is called with the number of images I and of classes K, `Objects` and `Found`; it returns
the 12 statistics, -1 where there is nothing to find, and the precisions [T, R, K] of all sizes with
at most 100 detections per image. What the libraries print is held back.
"""

import contextlib
import io

import numpy as np
from absl import logging


def hotcoco(num_images, num_classes, objects, found):
    """By hotcoco; by faster-coco-eval, with a line in the log, where hotcoco is not installed."""
    try:
        from hotcoco import COCO, COCOeval
    except ImportError:
        logging.log_first_n(
            logging.WARNING,
            "hotcoco is not installed (pip install hotcoco; it needs Python 3.10): "
            "faster-coco-eval counts instead, with the same numbers in more time and memory",
            1,
        )
        return fast(num_images, num_classes, objects, found)
    truth = COCO.from_arrays(
        _with_ids(num_images),
        _with_ids(num_classes),
        objects.images + 1,
        objects.classes + 1,
        objects.boxes,
        area=objects.areas,
        iscrowd=objects.crowd,
    )
    columns = [found.images + 1, found.boxes, found.scores, found.classes + 1]
    return _evaluated(COCOeval, truth, truth.load_res(np.column_stack(columns)))


def fast(num_images, num_classes, objects, found):
    """By faster-coco-eval."""
    from faster_coco_eval import COCO, COCOeval_faster

    return _indexed_and_evaluated(COCO, COCOeval_faster, num_images, num_classes, objects, found)


def reference(num_images, num_classes, objects, found):
    """By pycocotools, COCO's own."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    return _indexed_and_evaluated(COCO, COCOeval, num_images, num_classes, objects, found)


def _indexed_and_evaluated(coco_class, eval_class, num_images, num_classes, objects, found):
    def indexed(annotations):
        coco = coco_class()
        coco.dataset = {
            "images": _with_ids(num_images),
            "categories": _with_ids(num_classes),
            "annotations": annotations,
        }
        coco.createIndex()
        return coco

    areas = found.boxes[:, 2] * found.boxes[:, 3]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = indexed(_annotations(objects, objects.areas, iscrowd=objects.crowd.astype(int)))
        results = indexed(
            _annotations(found, areas, score=found.scores, iscrowd=np.zeros(len(areas), int))
        )
    return _evaluated(eval_class, truth, results)


def _evaluated(eval_class, truth, results):
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = eval_class(truth, results, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[:12], np.asarray(evaluation.eval["precision"])[:, :, :, 0, -1]


def _with_ids(number):
    """Images or categories.

    Ids, those of boxes too, count from 1: the libraries take 0 for none."""
    return [{"id": row + 1, "name": str(row)} for row in range(number)]


def _annotations(boxes, areas, **columns):
    """The dicts that pycocotools and faster-coco-eval take, of `Objects` or `Found`."""
    columns = {
        "id": np.arange(1, len(areas) + 1),
        "image_id": boxes.images + 1,
        "category_id": boxes.classes + 1,
        "bbox": boxes.boxes,
        "area": areas,
        **columns,
    }
    rows = zip(*(column.tolist() for column in columns.values()))
    return [dict(zip(columns, row)) for row in rows]
