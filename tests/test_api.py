"""The Python API, without training anything at length."""

import pathlib
import subprocess
import sys

import pytest
from data.samples import coco_content, write_coco

import lhrcnn
from lhrcnn.choices import resolve
from lhrcnn.errors import ConfigError, DataError

ROOT = pathlib.Path(__file__).resolve().parents[1]


def test_public_names_are_there_and_listed():
    assert set(lhrcnn.__all__) <= set(dir(lhrcnn))
    for name in lhrcnn.__all__:
        assert getattr(lhrcnn, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        lhrcnn.nothing  # noqa: B018
    for name in ("OPTIMIZERS", "SCHEDULES"):
        assert all(callable(resolve(entry)) for entry in getattr(lhrcnn, name).values())


def test_configs_are_loaded_and_checked_without_tensorflow():
    script = (
        "import sys, lhrcnn; lhrcnn.METRICS, lhrcnn.OPTIMIZERS, lhrcnn.READERS, lhrcnn.EXPORTS\n"
        "config = lhrcnn.load_config('light_head_xception_shapes', {'train.batch_size': 4})\n"
        "assert config.train.batch_size == 4 and 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


def test_a_config_is_found_by_name_file_and_run(tmp_path):
    config = lhrcnn.load_config("light_head_mobilenet_v2_voc07_144")
    of_model = lhrcnn.load_config(ROOT / "lhrcnn" / "zoo" / "light_head_mobilenet_v2_voc07_144")
    assert config.model.head == of_model.model.head
    with pytest.raises(ConfigError, match="did you mean 'light_head_xception_shapes'"):
        lhrcnn.load_config("light_head_xception_shape")
    with pytest.raises(ConfigError, match="give what lhrcnn.load_config returns"):
        lhrcnn.train("light_head", run_dir=tmp_path / "run")
    with pytest.raises(ConfigError, match="--set train.epoch=3: unknown option"):
        lhrcnn.load_config("light_head_xception_shapes", "train.epoch=3")
    with pytest.raises(ConfigError, match="'eval.metrics': found 'map'"):
        lhrcnn.evaluate("light_head_mobilenet_v2_voc07_144", metrics="map")
    with pytest.raises(ConfigError, match="data: found 3; allowed: a folder, or a dict"):
        lhrcnn.open_dataset(3)
    with pytest.raises(ConfigError, match="^changes: unknown option 'tset'"):
        lhrcnn.evaluate("light_head_mobilenet_v2_voc07_144", changes={"tset.flip": True})
    with pytest.raises(ConfigError, match="^changes: 'data.max_boxes': expected int"):
        lhrcnn.export("light_head_mobilenet_v2_voc07_144", changes={"data.max_boxes": tmp_path})
    with pytest.raises(ConfigError, match="'data.fromat'"):
        lhrcnn.train(config, data={"fromat": "coco"}, run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_alone_is_found_out(tmp_path):
    write_coco(tmp_path / "fruit", coco_content(), "annotations.json", "images")
    assert len(lhrcnn.open_dataset(tmp_path / "fruit", "*").records) == 2
    with pytest.raises(DataError, match="no such data folder"):
        lhrcnn.open_dataset(tmp_path / "friut")
    assert not (tmp_path / "friut").exists()
