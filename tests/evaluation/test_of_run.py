"""Which images a run is evaluated on."""

import dataclasses
import json
import pathlib

import pytest
from data.reading import images, write
from scenes import record

from lhrcnn import config as configs
from lhrcnn.data.schema import Dataset
from lhrcnn.evaluation import of_run
from lhrcnn.evaluation.detections import of_image
from lhrcnn.evaluation.of_run import dataset_of
from lhrcnn.files import Output
from lhrcnn.inference.predictor import LoadedRun


def test_a_run_is_evaluated_on_the_images_that_it_held_out(tmp_path):
    names = [f"{number}.jpg" for number in range(10)]
    images(tmp_path, *names)
    write(tmp_path, {"boxes.csv": "".join(f"{name},10,20,40,60,thing\n" for name in names)})
    config = configs.load(
        None, {"data.format": "auto", "data.dir": str(tmp_path), "data.test_split": "test"}
    )
    for held_out in (("3.jpg", "4.jpg"), ("7.jpg",)):
        run = LoadedRun(None, config, ["thing"], [1], {}, held_out=held_out)
        dataset, _, split = dataset_of(run)
        assert split == "test"
        assert {pathlib.Path(record.path).name for record in dataset.records} == set(held_out)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ("eval.batch_size=1", True),
        ("data.workers=1", True),
        ("model.postprocess.nms_iou=0.3", False),
        ("test.flip=true", False),
    ],
)
def test_detections_are_kept_for_the_same_options_and_training_alone(
    change, same, tmp_path, caplog
):
    """What `eval --set` left is not taken for what the run detects as its config says."""
    box = [[0, 0, 9, 9]]
    dataset = Dataset("one", [record(box, image_id=5, size=(10, 10))], ["thing"], [1])
    found = of_image(5, box, [0.5], [0])

    def about(*changes, images=dataset, **meta):
        run = LoadedRun(None, configs.load(None, changes), [], [], {"step": 3, **meta})
        return of_run.about("run", run, images, "val")

    other, own = about(change), about()
    path, _ = of_run.save(Output(tmp_path), tmp_path / "val.json", other, dataset, {}, found)
    assert (of_run.kept(path, own, dataset) is not None) == same
    assert len(of_run.kept(path, other, dataset)) == 1
    assert of_run.kept(path, about(change, seconds=7.5), dataset) is None  # trained anew
    others = [record(box, image_id=5, size=(10, 10), path="6.jpg")]
    others = dataclasses.replace(dataset, records=others)
    assert of_run.kept(path, about(change, images=others), others) is None  # of as many images
    older = json.loads(path.read_text())
    del older["identity"]
    path.write_text(json.dumps(older))
    assert of_run.kept(path, own, dataset) is not None
    assert not caplog.text
    beside = of_run.beside_metrics(path)
    beside.write_text(beside.read_text()[:-20])
    assert of_run.kept(path, own, dataset) is None and "detecting anew" in caplog.text
