"""Tables and JSON of metrics."""

import json
import math

import numpy as np

from lhrcnn.evaluation import tables
from lhrcnn.evaluation.metrics import coco

VOC = {"mAP": 0.5, "mAP70": 0.4, "mAP50_95": 0.3}


def metrics(num_classes=3):
    statistics = dict(zip(coco.STATISTICS, np.linspace(0.1, 0.65, 12)))
    per_class = {f"class {k}": k / num_classes for k in range(num_classes)}
    return {"coco": {**statistics, "APs": math.nan, "per_class": {**per_class, "absent": math.nan}}}


def test_coco_rows_have_cocoapis_wording():
    lines = tables.format_tables(metrics()).splitlines()
    for place, row in (
        (0, " Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.100"),
        (3, " Average Precision  (AP) @[ IoU=0.50:0.95 | area= small | maxDets=100 ] = n/a"),
        (6, " Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets=  1 ] = 0.400"),
        (11, " Average Recall     (AR) @[ IoU=0.50:0.95 | area= large | maxDets=100 ] = 0.650"),
    ):
        assert lines[place] == row
    assert lines[-1] == "AP 0.100  AP50 0.150  AP75 0.200"


def test_classes_are_sorted_by_ap_and_all_there():
    lines = tables.format_tables(metrics()).splitlines()
    start = lines.index("class       AP")
    shown = [line.split()[-1] for line in lines[start + 1 : start + 5]]
    assert shown == ["0.667", "0.333", "0.000", "n/a"]


def test_many_classes_stand_side_by_side():
    table = tables.format_tables(metrics(200))
    assert all(len(line) <= 100 and line == line.rstrip() for line in table.splitlines())
    assert all(f"class {k} " in table for k in range(200))
    assert len(table.splitlines()) < 60


def test_voc_columns_join_the_class_table():
    both = {
        **metrics(1),
        "voc07": {**VOC, "per_class": {"class 0": 0.5, "absent": math.nan}},
        "voc": {**dict.fromkeys(VOC, math.nan), "per_class": {"class 0": 0.25, "absent": math.nan}},
    }
    table = tables.format_tables(both)
    assert "class       AP  VOC07    VOC" in table
    assert "class 0  0.000  0.500  0.250" in table
    assert table.splitlines()[-1].endswith(
        "VOC 2007 mAP (11 points) 0.500 (IoU 0.7: 0.400, 0.5:0.95: 0.300)  "
        "VOC mAP (area) n/a (IoU 0.7: n/a, 0.5:0.95: n/a)"
    )


def test_voc_alone():
    only = {"voc07": {**VOC, "per_class": {"a": 0.5}}}
    line = "VOC 2007 mAP (11 points) 0.500 (IoU 0.7: 0.400, 0.5:0.95: 0.300)"
    assert tables.summary(only) == line
    assert "a      0.500" in tables.format_tables(only)
    assert tables.format_tables({"voc07": {**VOC, "per_class": {}}}) == tables.summary(only)


def test_json_holds_null_where_there_is_no_number():
    per_class = {"x": math.inf, "y": np.int64(3)}
    coco_numbers = {"AP": np.float32(0.5), "APs": math.nan, "per_class": per_class}
    values = {"coco": coco_numbers, "list": [math.nan, "é"]}
    expected = {"AP": 0.5, "APs": None, "per_class": {"x": None, "y": 3}}
    assert json.loads(tables.to_json(values)) == {"coco": expected, "list": [None, "é"]}
