"""Configs derived from data: what is chosen, why, and that the command trains with them."""

import numpy as np
import pytest

from lhrcnn import cli
from lhrcnn import config as configs
from lhrcnn.data.schema import Dataset, Record
from lhrcnn.training import derive


def dataset(boxes_of_images, height=480, width=640, classes=2):
    """A Dataset with these boxes, a list per image."""
    records = []
    for number, boxes in enumerate(boxes_of_images):
        boxes = np.array(boxes, np.float32).reshape(-1, 4)
        kinds, flags = np.zeros(len(boxes), np.int32), np.zeros(len(boxes), bool)
        area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
        records.append(Record(number, f"{number}.jpg", height, width, boxes, kinds, flags, area))
    return Dataset("made", records, [f"c{k}" for k in range(classes)], list(range(classes)))


def square(size, count=1):
    return [[10, 10, 10 + size, 10 + size]] * count


def values(measures, bfloat16=False):
    return {choice.option: choice.value for choice in derive.derive(measures, bfloat16)}


def test_what_is_measured():
    made = dataset([square(48), square(96, 3), []])
    made.records[1].ignore[2] = True
    found = derive.measure(made)
    assert found[:3] == (3, 3, 2) and found.short_side == 480 and found.most_boxes == 3
    assert found.aspect == pytest.approx(4 / 3) and sorted(found.sizes) == pytest.approx(
        [0.1, 0.2, 0.2]
    )


@pytest.mark.parametrize(
    "size, height, side",
    [
        (48, 480, 288),  # 28 px of a tenth of the short side: 280, to the next 32
        (300, 480, 256),  # large objects need no more than the least
        (5, 480, 640),  # small ones get the most
        (5, 200, 288),  # but images are hardly enlarged
    ],
)
def test_small_boxes_decide_the_size(size, height, side):
    found = values(derive.measure(dataset([square(size)] * 20, height, height * 4 // 3)))
    assert found["data.short_side"] == [side]
    assert found["data.long_side"] == pytest.approx(side * 4 / 3, abs=2)


def test_anchors_follow_the_boxes():
    sizes = np.repeat([30, 60, 120], 50)
    found = values(derive.measure(dataset([square(size) for size in sizes])))
    anchors, scale = found["model.rpn.anchor_scales"], found["data.short_side"][0] / 480
    assert len(anchors) == 6 and anchors == sorted(anchors)
    for size in (30, 60, 120):
        assert min(abs(np.log(np.array(anchors) / (size * scale)))) < np.log(1.3)


def test_boxes_of_one_size_get_different_anchors():
    anchors = values(derive.measure(dataset([square(100)] * 30)))["model.rpn.anchor_scales"]
    ratios = np.array(anchors[1:]) / anchors[:-1]
    assert (ratios > 1.2).all() and anchors[0] < 100 * 256 / 480 < anchors[-1]


def test_few_images_are_seen_more_often():
    epochs = [
        values(derive.measure(dataset([square(80)] * n)))["train.epochs"] for n in (8, 160, 4000)
    ]
    assert epochs == [60, 13, 6]


def test_crowded_images_keep_their_boxes():
    found = values(derive.measure(dataset([square(20, 250)])))
    assert found["data.max_boxes"] == found["model.postprocess.max_detections"] == 500


@pytest.mark.parametrize(
    "text, has",
    [
        ("flags\t\t: fpu avx512_bf16 fma\n", True),
        ("flags : fpu amx_bf16\n", True),
        ("flags : fpu avx2\n", False),
    ],
)
def test_the_processor_decides_the_precision(tmp_path, text, has):
    (tmp_path / "cpuinfo").write_text(f"processor : 0\n{text}model : x\n")
    assert derive.processor_has_bfloat16(tmp_path / "cpuinfo") == has
    assert not derive.processor_has_bfloat16(tmp_path / "none")
    precision = values(derive.measure(dataset([square(80)])), has)["train.precision"]
    assert precision == ("mixed_bfloat16" if has else "float32")


def test_every_choice_fits_the_base_and_has_a_reason():
    choices = derive.derive(derive.measure(dataset([square(80)] * 9)), True)
    config = configs.load(None, {choice.option: choice.value for choice in choices})
    assert config.data.resize == "keep_ratio" and all(choice.reason for choice in choices)
    lines = derive.describe(choices)
    assert len(lines) == len(choices) and all("  # " in line for line in lines)


def test_no_boxes_are_no_error():
    assert values(derive.measure(dataset([[], []])))["train.epochs"] == 60


@pytest.fixture
def folder(tmp_path):
    """Ten images with VOC files in one folder, without lists."""
    from PIL import Image

    for number in range(10):
        Image.fromarray(np.full([90, 120, 3], number, np.uint8)).save(tmp_path / f"{number}.jpg")
        (tmp_path / f"{number}.xml").write_text(
            f"<annotation><filename>{number}.jpg</filename><size><width>120</width><height>90"
            "</height><depth>3</depth></size><object><name>thing</name><bndbox><xmin>11</xmin>"
            "<ymin>11</ymin><xmax>60</xmax><ymax>70</ymax></bndbox></object></annotation>"
        )
    return tmp_path


def test_train_with_a_data_folder_alone(folder, tmp_path, monkeypatch, capsys):
    seen = {}

    def train(config, run_dir, resume, init_from="", **others):
        seen.update(config=config, init_from=init_from, run_dir=run_dir)
        return {"steps": 1, "total_steps": 1, "interrupted": False, "best_score": None,
                "run_dir": run_dir, "best_checkpoint": None, "checkpoint": None}  # fmt: skip

    monkeypatch.setattr("lhrcnn.training.stages.train", train)
    words = ["train", "--data_dir", str(folder), "--run_dir", str(tmp_path / "run")]
    assert cli.main([*words, "--set", "train.epochs=2", "--seed", "5"]) == 0
    out = capsys.readouterr().out
    config = seen["config"]
    assert "derived from the data" in out and "model.rpn.anchor_scales: [" in out
    assert (config.data.format, config.data.train_split) == ("auto", "train")
    assert config.train.epochs == 2 and config.train.seed == 5 and config.data.short_side == [256]
    assert seen["init_from"] == "light_head_mobilenet_v2_voc07_144"
    assert cli.main([*words, "--set", "train.epoch=2"]) == 2
    assert cli.main([*words, "--config", "light_head_mobilenet_v2_bccd"]) == 0
    assert "derived" not in capsys.readouterr().out


def test_the_same_command_starts_from_the_same_weights_before_there_is_a_checkpoint(
    folder, tmp_path, monkeypatch
):
    """A run stopped before its first checkpoint has a config, and still needs the shipped model."""
    started = []

    def train(config, run_dir, resume, init_from="", **others):
        started.append((config, init_from))
        run_dir.mkdir(exist_ok=True)
        configs.save(config, run_dir / "config.yaml")
        return {"steps": 0, "total_steps": 1, "interrupted": True, "best_score": None,
                "run_dir": run_dir, "best_checkpoint": None, "checkpoint": None}  # fmt: skip

    monkeypatch.setattr("lhrcnn.training.stages.train", train)
    words = ["train", "--data_dir", str(folder), "--run_dir", str(tmp_path / "run"), "--seed", "5"]
    assert cli.main(words) == cli.main(words) == 0
    assert started[0] == started[1] and started[1][1] == "light_head_mobilenet_v2_voc07_144"
    assert started[1][0].train.seed == 5
