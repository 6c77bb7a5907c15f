"""Which images a run is evaluated on."""

import json
import pathlib

import numpy as np
import pytest
from data.reading import images, write

from lhrcnn import config as configs
from lhrcnn.data.schema import Dataset, Record
from lhrcnn.evaluation import detections, of_run
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
def test_detections_are_kept_for_the_same_options_and_training_alone(change, same, tmp_path):
    """What `eval --set` left is not taken for what the run detects as its config says."""
    sizes = np.array([[0, 0, 9, 9]], np.float32), np.zeros(1, np.int32), np.zeros(1, bool)
    record = Record(5, "5.jpg", 10, 10, *sizes, np.array([81], np.float32))
    dataset = Dataset("one", [record], ["thing"], [1])
    found = detections.Detections(
        np.array([5]), sizes[0], np.array([0.5], np.float32), np.zeros(1, np.int32)
    )

    def about(*changes, **meta):
        run = LoadedRun(None, configs.load(None, changes), [], [], {"step": 3, **meta})
        return of_run.about("run", run, dataset, "val")

    other, own = about(change), about()
    path, _ = of_run.save(Output(tmp_path), tmp_path / "val.json", other, dataset, {}, found)
    assert (of_run.kept(path, own, dataset) is not None) == same
    assert len(of_run.kept(path, other, dataset)) == 1
    assert of_run.kept(path, about(change, seconds=7.5), dataset) is None  # trained anew
    older = json.loads(path.read_text())
    del older["identity"]
    path.write_text(json.dumps(older))
    assert of_run.kept(path, own, dataset) is not None
