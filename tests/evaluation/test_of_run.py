"""Which images a run is evaluated on."""

import pathlib

from data.reading import images, write

from lhrcnn import config as configs
from lhrcnn.evaluation.of_run import dataset_of
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
