"""examples/metric.py by hand, and picking the best checkpoint of a training."""

import importlib.util
import pathlib

import numpy as np
import pytest
from training.tiny_run import lines, make_coco, tiny_config

import lhrcnn
from lhrcnn.data.schema import Dataset, Record
from lhrcnn.errors import ConfigError, TrainingError
from lhrcnn.evaluation.detections import Detections
from lhrcnn.evaluation.metrics import METRICS

PLUGIN = pathlib.Path(__file__).resolve().parents[2] / "examples" / "metric.py"


def test_objects_are_counted_once_and_by_class(monkeypatch):
    monkeypatch.setitem(METRICS, "found", None)
    spec = importlib.util.spec_from_file_location("metric_example", PLUGIN)
    spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
    boxes = np.array([[0, 0, 10, 10], [20, 20, 40, 40], [50, 50, 60, 60]], np.float32)
    classes, ignore = np.array([0, 1, 1], np.int32), np.array([False, False, True])
    record = Record(5, "a.jpg", 64, 64, boxes, classes, ignore, np.ones(3, np.float32))
    dataset = Dataset("d", [record], ["a", "b", "c"], [1, 2, 3])
    ids = np.array([5, 5, 6])
    near = np.array([[0, 0, 10, 8], [20, 20, 40, 30], [20, 20, 40, 40]], np.float32)
    found = Detections(ids, near, np.full(3, 0.1), np.array([0, 0, 1], np.int32))
    scores = module.found(dataset, found, None)
    assert scores["recall"] == 0.5
    assert (scores["per_class"]["a"], scores["per_class"]["b"]) == (1, 0)
    assert np.isnan(scores["per_class"]["c"])
    none = Detections(ids[:0], near[:0], np.zeros(0), np.zeros(0, np.int32))
    assert module.found(dataset, none, None)["recall"] == 0


@pytest.mark.slow
def test_the_metric_picks_the_best_checkpoint(tmp_path):
    data, run_dir = make_coco(tmp_path / "data"), tmp_path / "run"
    chosen = [f"plugins=[{PLUGIN}]", "eval.metrics=[coco, found]"]
    with pytest.raises(
        ConfigError, match="'train.best_metric': found 'voc07/mAP', expected METRIC"
    ):
        tiny_config(data, *chosen, "train.best_metric=voc07/mAP")
    wrong = tiny_config(data, *chosen, "train.best_metric=found/precision")
    with pytest.raises(TrainingError, match="allowed: coco/AP, .*found/recall; the checkpoint is"):
        lhrcnn.train(wrong, run_dir=run_dir)
    config = lhrcnn.config.changed(wrong, {"train.best_metric": "found/recall"})
    summary = lhrcnn.train(config, run_dir=run_dir)
    scores = {line["step"]: line["found/recall"] for line in lines(run_dir, "validation")}
    assert summary["best_metric"] == "found/recall" and list(scores) == [5, 10]
    assert summary["best_score"] == max(scores.values()) == scores[summary["best_step"]]
    assert 0 <= lhrcnn.evaluate(run_dir, split="val")["found"]["recall"] <= 1
