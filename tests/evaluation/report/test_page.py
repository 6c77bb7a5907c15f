"""The report of a small data set: its files, and the page in a browser."""

import csv
import dataclasses
import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image
from scenes import random_dataset, random_detections

from lhrcnn.commands.compare import format_comparison
from lhrcnn.config import EvalConfig
from lhrcnn.errors import OutputError
from lhrcnn.evaluation import detections
from lhrcnn.evaluation.analysis import bootstrap
from lhrcnn.evaluation.analysis.compare import compare
from lhrcnn.evaluation.report.write import training_of, write_report
from lhrcnn.evaluation.scoring import score
from lhrcnn.files import Output
from lhrcnn.runs.directory import RunDirectory

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
STAGE = {"ms": 2.0, "p90_ms": 3.0, "share": 0.5}
STAGES = {
    "stages": {"backbone": STAGE},
    "total": STAGE,
    "size": [192, 256],
    "runs": 3,
    "device": "CPU",
    "processors": 2,
}
# Tries the filters as a user does, then tells in the page what is shown.
TRY = """<script>
const shown = () => document.querySelectorAll(".card:not([hidden])").length;
const told = [shown()];
const boxes = document.querySelectorAll("input[name=kind]");
for (const box of boxes) { box.checked = box.value === "Miss"; }
boxes[0].dispatchEvent(new Event("change"));
told.push(shown(), document.querySelectorAll("li[data-kind=Bkg]:not([hidden])").length);
const chosen = document.getElementById("class");
chosen.selectedIndex = 1;
chosen.dispatchEvent(new Event("change"));
told.push(shown(), chosen.value, document.getElementById("count").textContent);
document.body.setAttribute("data-told", JSON.stringify(told));
</script></html>"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """(path of the page, its data)."""
    folder = tmp_path_factory.mktemp("report")
    rng = np.random.default_rng(0)
    dataset = random_dataset(rng, num_images=12)
    dataset.class_names[0] = '<b>"odd" & name</b>'
    found = random_detections(rng, dataset)
    for record in dataset.records[1:]:  # the first cannot be read
        record.__dict__["path"] = str(folder / record.path)
        pixels = rng.integers(0, 255, [400, 400, 3], np.uint8)
        Image.fromarray(pixels).save(record.path)
    scored = score(dataset, found, EvalConfig(metrics=["coco", "voc07"]))
    about = {"run_dir": "runs/<x>", "split": "val", "step": 3, "images": 12}
    curves = {"training losses": {"loss": [(0, 2.0), (1, 1.0)]}, "validation": {}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "ROUNDS", 20)
        more = {"stages": STAGES, "training": curves}
        path = write_report(Output(folder / "out"), "val", dataset, found, scored, about, more)
    return path, json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))


def test_the_data_say_what_eval_says(report):
    path, data = report
    assert data["intervals"]["AP"][0] == pytest.approx(data["metrics"]["coco"]["AP"], abs=1e-12)
    assert data["intervals"]["AP50"][0] == pytest.approx(data["metrics"]["coco"]["AP50"])
    low, high = data["intervals"]["AP"][1:]
    assert low < high
    rows = list(csv.DictReader(path.with_name("val_classes.csv").open(encoding="utf-8")))
    assert [row["class"] for row in rows] == [row["name"] for row in data["classes"]]
    assert float(rows[1]["AP50"]) == data["classes"][1]["AP50"][0]
    assert data["classes"][4]["AP"][0] is None  # no object of it
    costs = [row["cost"] for row in data["images"]]
    assert costs == sorted(costs, reverse=True) and costs[0] > 0
    assert data["suspects"]["unlabelled"] and data["suspects"]["never found"]


def test_the_page_holds_everything_and_asks_for_nothing(report):
    text = report[0].read_text(encoding="utf-8")
    assert '<b>"odd"' not in text and "runs/<x>" not in text
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", text)
    assert not re.findall(r"url\(|@import|fetch\(|<link(?! rel=\"icon\")", text)
    for heading in ("Classes", "Errors", "Curves", "Confusion", "Calibration", "Hard objects"):
        assert f"<h2>{heading}</h2>" in text
    for heading in ("Costliest images", "Suspected labels", "Speed", "Training"):
        assert f"<h2>{heading}</h2>" in text
    assert len(text) < 20e6 and "nan" not in re.sub(r"base64,[^\"]*", "", text)


@pytest.mark.skipif(not BROWSER, reason="needs Debian's chromium: apt-get install chromium")
def test_in_a_browser(report, tmp_path):
    page = tmp_path / "page.html"
    text = report[0].read_text(encoding="utf-8").replace("</html>", TRY)
    page.write_text(text, encoding="utf-8")
    browser = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    browser += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()]
    done = subprocess.run(browser, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr
    told = html.unescape(re.search(r'data-told="([^"]*)"', done.stdout)[1])
    every, missed, background, of_class, name, count = json.loads(told)
    images = [row for row in report[1]["images"] if "/" in row["path"]]
    assert every == len(images)
    of_kind = [[e for e in row["errors"] if e["kind"] == "Miss"] for row in images]
    assert missed == sum(map(bool, of_kind)) and background == 0
    assert of_class == sum(any(e["class"] == name for e in row) for row in of_kind)
    assert 0 < of_class < every and count == f"{of_class} of {every} images"


def none(record):
    fields = ("boxes", "classes", "ignore", "areas")
    return dataclasses.replace(record, **{name: getattr(record, name)[:0] for name in fields})


def crowds(record):
    return dataclasses.replace(record, ignore=np.ones_like(record.ignore))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("found_some", [True, False])
@pytest.mark.parametrize("change", [none, crowds, lambda record: record])
def test_nothing_found_and_nothing_to_find(change, found_some, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    dataset = random_dataset(rng, num_images=5)
    found = random_detections(rng, dataset) if found_some else detections.empty()
    dataset = dataclasses.replace(dataset, records=[change(record) for record in dataset.records])
    monkeypatch.setattr(bootstrap, "ROUNDS", 3)
    about = {"run_dir": "run", "split": "val", "step": 1, "images": 5}
    path = write_report(Output(tmp_path), "val", dataset, found, {}, about)
    assert "<h2>Errors</h2>" in path.read_text(encoding="utf-8")
    result = compare(dataset, found, found, rounds=3)
    assert ("AP" in result) == bool(result["classes"])
    assert "-> b" in format_comparison("a", "b", result)


def test_files_of_others_are_not_replaced(tmp_path):
    (tmp_path / "val.html").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="val.html: exists"):
        Output(tmp_path).check("val.html")


def test_training_curves_of_a_log_that_a_kill_cut_off(tmp_path):
    lines = [
        {"step": 0, "epoch": 0.0, "phase": "start"},
        {"step": 1, "epoch": 0.5, "phase": "train", "loss": 2.0, "learning_rate": 0.1}
        | {"head_mine": 0.5, "head_foreground": 3.0},
        {"step": 2, "epoch": 1.0, "phase": "validation", "coco/AP": 0.25},
    ]
    text = "\n".join(map(json.dumps, lines)) + '\n{"step": 3, "ep'
    (tmp_path / "metrics.jsonl").write_text(text, encoding="utf-8")
    assert training_of(RunDirectory(tmp_path), ("head_foreground",)) == {
        "training losses": {"loss": [(0.5, 2.0)], "head_mine": [(0.5, 0.5)]},
        "validation": {"coco/AP": [(1.0, 0.25)]},
    }
    assert training_of(RunDirectory(tmp_path / "none")) == {}
