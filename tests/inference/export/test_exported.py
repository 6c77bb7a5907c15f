"""Exported models as detectors, and the commands that run them."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from inference.conftest import draw_image, make_run
from PIL import Image

from lhrcnn import cli, commands
from lhrcnn import config as configs
from lhrcnn.config.plugins import remember
from lhrcnn.errors import DependencyError, ExportError, UsageError
from lhrcnn.inference.export import EXPORTS, Options, exported
from lhrcnn.inference.export.description import write_descriptions
from lhrcnn.inference.export.exported import ExportedDetector
from lhrcnn.inference.export.write import export
from lhrcnn.inference.predictor import Detector

STRETCH = ["data.resize=stretch", "data.stretch_size=[64, 80]"]
XCEPTION = ["model.backbone.name=xception"]  # depthwise convolutions in every format


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("exported") / "run", [*STRETCH, *XCEPTION])


@pytest.fixture(scope="module", params=["savedmodel", "onnx", "openvino", "litert"])
def model(request, run_dir):
    for module in (*EXPORTS[request.param].needs, *EXPORTS[request.param].runs_with):
        pytest.importorskip(module, reason=f"needs lhrcnn[{request.param}]")
    return export(run_dir, run_dir.parent / request.param, request.param)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A data set in COCO's format, of two images of other sizes than the model's."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "annotations").mkdir()
    (folder / "val2017").mkdir()
    shapes = [(50, 80), (90, 70)]
    for number, shape in enumerate(shapes):
        Image.fromarray(draw_image(*shape, number)).save(folder / "val2017" / f"{number}.png")
    content = {
        "images": [
            {"id": number, "file_name": f"{number}.png", "height": height, "width": width}
            for number, (height, width) in enumerate(shapes)
        ],
        "categories": [
            {"id": category, "name": name}
            for category, name in ((3, "circle"), (5, "größe Ω"), (17, "hot dog"))
        ],
        "annotations": [
            {"id": 1, "image_id": 0, "category_id": 5, "bbox": [20, 10, 30, 20], "area": 600}
        ],
    }
    (folder / "annotations" / "instances_val2017.json").write_text(json.dumps(content))
    return folder


def test_images_of_any_size_have_the_predictors_detections(run_dir, model):
    exported, detector = ExportedDetector(model), Detector.from_run(run_dir)
    for size in ((50, 80), (90, 70)):
        image = draw_image(*size)
        found, expected = exported.predict(image), detector.predict(image)
        assert len(found) == len(expected) > 0 and found.size == expected.size
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.5)  # a pixel rounds up
        np.testing.assert_allclose(found.scores, expected.scores, atol=5e-3)
        assert found.names == expected.names and found.category_ids == expected.category_ids


def test_commands_take_the_model(model, data_dir, tmp_path, capsys):
    words = ["--data_dir", data_dir, "--set", "data.format=coco", "--split", "val2017"]
    assert run(["eval", "--model", model, "--output", tmp_path / "scores.json", *words]) == 0
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["images"] == 2 and scores["ms_per_image"] > 0 and scores["step"] == 7
    shown = capsys.readouterr().out
    assert scores["runtime"] in shown and "ms per image" in shown
    image, folder = data_dir / "val2017" / "0.png", tmp_path / "found"
    file = model / EXPORTS[ExportedDetector(model).format].files[0]
    assert run(["predict", image, "--model", file, "--output", folder, "--score_threshold=0"]) == 0
    assert json.loads((folder / "detections.json").read_text())["annotations"]
    assert run(["benchmark", "--model", model, "--runs", "2", "--size", "50x60"]) == 0
    assert "median_ms" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, message",
    [
        (["eval", "--run_dir=x"], "--run_dir has no meaning beside --model"),
        (["eval", "--set=model.postprocess.nms_iou=0.3"], "an exported model is what it is"),
        (["predict", "photo.jpg", "--ensemble=x"], "--ensemble has no meaning beside --model"),
    ],
)
def test_what_has_no_meaning_beside_a_model_is_one_line(tmp_path, capsys, words, message):
    assert run([*words, "--model", tmp_path]) != 0
    shown = capsys.readouterr().err
    assert message in shown and "Traceback" not in shown


def test_faults_of_a_model_are_named(model, tmp_path, monkeypatch):
    with pytest.raises(ExportError, match="no exported model there; looked for saved_model.pb"):
        ExportedDetector(tmp_path)
    other = ExportedDetector(model)
    other._run = lambda images: {"logits": np.zeros([len(images), 1000])}
    with pytest.raises(ExportError, match="is not the model that export.json beside it describes"):
        other.predict(draw_image(50, 80))
    other = ExportedDetector(model)
    other.class_names = other.class_names[:1]
    with pytest.raises(ExportError, match="is not the model .*: class 2 of 1"):
        other.predict(draw_image(50, 80))
    name = ExportedDetector(model).format
    if name != "openvino":
        with pytest.raises(ExportError, match="--precision=bfloat16"):
            ExportedDetector(model, "bfloat16")
    broken = tmp_path / "model"
    broken.mkdir()
    beside = broken / exported.ASSETS if name == "savedmodel" else broken
    for path in (model / beside.relative_to(broken)).glob("*.*"):
        if path.is_file():
            beside.mkdir(exist_ok=True)
            (beside / path.name).write_bytes(path.read_bytes())
    (broken / EXPORTS[name].files[0]).write_bytes(
        (model / EXPORTS[name].files[0]).read_bytes()[:99]
    )
    with pytest.raises(ExportError, match=f"cannot be opened as {name}: (?!Exception from)"):
        ExportedDetector(broken)
    facts = json.loads((beside / "export.json").read_text())
    for text in ("{", json.dumps({**facts, "category_ids": [3]})):
        (beside / "export.json").write_text(text)
        with pytest.raises(ExportError, match="export.json: cannot be read"):
            ExportedDetector(broken)
    if EXPORTS[name].runs_with:
        monkeypatch.setitem(EXPORTS, name, EXPORTS[name]._replace(runs_with=("not_there",)))
        with pytest.raises(DependencyError, match=rf"pip install 'lhrcnn\[{name}\]'"):
            ExportedDetector(model)


@pytest.mark.parametrize(
    "name, modules",
    [
        ("onnx", ("tf2onnx", "onnxruntime")),
        ("openvino", ("tf2onnx", "openvino", "nncf")),
        ("litert", ("ai_edge_litert",)),
    ],
)
def test_int8_finds_nearly_the_same(run_dir, tmp_path, name, modules):
    for module in modules:
        pytest.importorskip(module, reason=f"needs lhrcnn[{name}]")
    paths = []
    for number in range(4):
        paths.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(draw_image(64, 80, number)).save(paths[-1])
    calibration = tuple(paths) if EXPORTS[name].int8 == "calibration" else ()
    folder = export(run_dir, tmp_path / "int8", name, Options(calibration=calibration, int8=True))
    exported, detector = ExportedDetector(folder), Detector.from_run(run_dir)
    assert exported.facts["precision"] == "int8" and exported.runtime.endswith("in int8")
    found, expected = exported.predict(paths[0]), detector.predict(paths[0])
    np.testing.assert_allclose(found.scores[:3], expected.scores[:3], atol=0.1)
    with pytest.raises(ExportError, match="--int8: savedmodel has no such form; allowed: --format"):
        export(run_dir, tmp_path / "saved", "savedmodel", Options(calibration=tuple(paths)))


OWN = """
import numpy as np
from lhrcnn.inference.export import EXPORTS, Format

def opens(folder, precision):
    def run(images):
        shapes = {"boxes": [1, 2, 4], "scores": [1, 2], "classes": [1, 2], "num_detections": [1]}
        return {name: np.zeros(shape, int) for name, shape in shapes.items()}

    return run, "own"

EXPORTS["own"] = Format("nothing", lambda *_: None, files=("own.txt",), opens=opens)
"""


def test_a_format_of_a_plugin_is_opened_where_only_the_model_names_it(tmp_path, monkeypatch):
    monkeypatch.setenv("LHRCNN_CACHE", str(tmp_path / "cache"))
    facts = {"class_names": ["a"], "category_ids": [1], "step": 1}
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "own.txt").write_text("")
    (tmp_path / "export.json").write_text(json.dumps(facts))
    (tmp_path / "config.yaml").write_text("plugins: [own.py]")
    with pytest.raises(ExportError, match="code that you have never named here: .*own.py"):
        ExportedDetector(tmp_path)
    remember([str(tmp_path / "own.py")])
    try:
        found = ExportedDetector(tmp_path).predict(np.zeros([4, 5], np.uint8))
        assert len(found) == 0 and EXPORTS["own"].meaning == "nothing"
    finally:
        EXPORTS.pop("own", None)


def run(words):
    return cli.main([str(word) for word in words])


def test_what_is_found_beside_the_image_in_a_form_of_fixed_size_is_dropped():
    detector = ExportedDetector.__new__(ExportedDetector)  # without a model
    detector.class_names, detector.category_ids = ["ant", "bee"], [3, 5]
    boxes = [[0, 0, 20, 8], [12, 0, 30, 8], [2, 9, 6, 12], [1, 1, 9, 4]]
    found = {
        "boxes": np.array([boxes], np.float32),
        "scores": np.array([[0.9, 0.8, 0.7, 0.6]], np.float32),
        "classes": np.array([[1, 1, 0, 0]]),
        "num_detections": np.array([4]),
    }
    kept = detector._prediction(found, 0, (100, 40), (10, 8))  # of 10 x 8 px in the model's input
    assert kept.boxes.tolist() == [[0, 0, 100, 40], [10, 5, 90, 20]]
    assert kept.names == ["bee", "ant"] and kept.category_ids == [5, 3]
    assert kept.scores.tolist() == pytest.approx([0.9, 0.6])


def test_images_drawn_for_validation_are_drawn_again(tmp_path, monkeypatch):
    config = configs.load()
    run = SimpleNamespace(held_out=("b.png",), config=config)
    about = {"class_names": ["a"], "category_ids": [1], "step": 3}
    write_descriptions(run, about, tmp_path)
    facts = exported._facts((tmp_path / "export.json").read_text())
    assert facts == {**about, "held_out": ["b.png"]}

    def dataset_of_run(trained, values):
        seen.append(trained.held_out)
        raise UsageError("enough")

    seen, like = [], {"meta": {"step": 3}, "name": "m", "held_out": ("b.png",), "config": config}
    detector = SimpleNamespace(class_names=["a"], category_ids=[1], **like)
    monkeypatch.setattr(commands, "exported_detector", lambda *_: detector)
    monkeypatch.setattr(commands, "dataset_of_run", dataset_of_run)
    assert cli.main(["eval", "--model", "m"]) != 0 and seen == [("b.png",)]
