"""The dict of metrics: what users choose from, put entries into, and what picks the best
checkpoint."""

import subprocess
import sys

import pytest
from scenes import record

from lhrcnn import config as configs
from lhrcnn.choices import resolve
from lhrcnn.data.schema import Dataset
from lhrcnn.errors import ConfigError
from lhrcnn.evaluation import detections, scoring, tables
from lhrcnn.evaluation.metrics import METRICS, Metric, main_number


def found_share(dataset, found, options):
    """A user's metric: how many detections there are, of 4 expected."""
    share = len(found) / 4
    return {"share": share, "score": options.text_score, "per_class": {"thing": share}}


@pytest.fixture
def own_metric(monkeypatch):
    monkeypatch.setitem(METRICS, "found", Metric("detections", found_share, main="share"))


def test_the_first_metric_picks_the_best_checkpoint():
    coco, voc = {"AP": 0.3, "AP50": 0.6}, {"mAP": 0.7, "mAP70": 0.2}
    assert main_number({"voc07": voc, "coco": coco}) == ("voc07/mAP", 0.7)
    assert main_number({"coco": coco, "voc07": voc}) == ("coco/AP", 0.3)
    assert main_number({"deteval": {"recall": 0.5, "hmean": 0.6}}) == ("deteval/hmean", 0.6)


def test_metrics_come_in_the_order_asked_for():
    nothing = Dataset("none", [], ["thing"], [1])
    options = configs.EvalConfig(metrics=["icdar_iou", "voc07", "voc"])
    assert list(scoring.score(nothing, detections.empty(), options)) == options.metrics


def test_every_metric_has_its_function_and_its_main_number():
    nothing = Dataset("none", [], ["thing"], [1])
    for name, metric in METRICS.items():
        numbers = resolve(metric.function)(nothing, detections.empty(), configs.EvalConfig())
        assert metric.main in numbers, name
        assert set(numbers) - {"per_class"} == set(metric.numbers), name


def test_two_classes_of_one_name_count_as_two(own_metric):
    """As in a COCO file whose categories of different ids share a name."""
    boxes = [[0, 0, 50, 50], [50, 50, 99, 99]]
    dataset = Dataset("two", [record(boxes, [0, 1])], ["cat", "cat"], [1, 2])
    found = detections.of_image(1, boxes[:1], [0.9], [0])
    names = ["coco", "voc07", "voc", "ilsvrc"]
    scored = scoring.score(dataset, found, configs.EvalConfig(metrics=[*names, "found"]))
    for name in names:
        assert scored[name][METRICS[name].main] == pytest.approx(0.5)
        assert scored[name]["per_class"] == pytest.approx({"cat (1)": 1, "cat (2)": 0})
    assert "cat (1)  1.000  1.000  1.000  1.000    n/a" in tables.format_tables(scored)


def test_a_metric_of_ones_own_is_chosen_scored_and_shown(own_metric):
    options = configs.load(None, ["eval.metrics=[found]", "eval.text_score=0.25"]).eval
    scored = scoring.score(Dataset("none", [], ["thing"], [1]), detections.empty(), options)
    assert scored == {"found": {"share": 0.0, "score": 0.25, "per_class": {"thing": 0.0}}}
    assert main_number(scored) == ("found/share", 0.0)
    assert tables.summary(scored) == "found share 0.000"
    assert "class  found\nthing  0.000" in tables.format_tables(scored)


def test_unknown_metrics_are_refused_by_the_config_with_what_there_is(own_metric):
    with pytest.raises(ConfigError, match="'coca'; did you mean 'coco'.*voc07.*found"):
        configs.load(None, ["eval.metrics=[coca]"])


def test_names_are_there_without_tensorflow_and_numpy():
    code = (
        "import sys, lhrcnn.evaluation.metrics\n"
        "assert not {'tensorflow', 'numpy'} & set(sys.modules), 'slow to import'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
