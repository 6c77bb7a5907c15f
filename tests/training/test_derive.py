"""Configs derived from data: what is chosen, and why."""

import math

import numpy as np
import pytest

from lhrcnn import config as configs
from lhrcnn.config.shipped import find_config
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


def start(**changes):
    """The Config of a trained model with anchors of 24 to 248 px in its network's input."""
    return configs.load(
        find_config("light_head_mobilenet_v2_voc07_144"), {**derive.OTHER_DATA, **changes}
    )


def values(measures, bfloat16=False, steps=0, model=None):
    """{option: value} of all choices."""
    choices = derive.derive(measures, model or start(), bfloat16, "runs/r")
    config = configs.changed(start(), {choice.option: choice.value for choice in choices})
    choices += derive.length(measures, config, steps)
    return {choice.option: choice.value for choice in choices}


def test_what_is_measured():
    made = dataset([square(48), square(96, 3), []])
    made.records[1].ignore[2] = True
    found = derive.measure(made)
    assert found[:3] == (3, 2, 480) and found.most_boxes == 3
    assert found.aspects == pytest.approx([4 / 3] * 3)
    assert sorted(found.sizes) == pytest.approx([0.1, 0.2, 0.2])


@pytest.mark.parametrize(
    "size, height, side",
    [
        (25, 480, 384),  # 24 px over 1.2, of 25 / 480 of the short side
        (300, 480, 288),  # large objects need no more than the least
        (5, 480, 640),  # small ones get the most
        (5, 200, 288),  # but images are hardly enlarged
    ],
)
def test_small_boxes_decide_the_size(size, height, side):
    found = values(derive.measure(dataset([square(size)] * 20, height, height * 4 // 3)))
    assert found["data.short_side"] == [side]
    assert found["data.long_side"] == pytest.approx(side * 4 / 3, abs=2)


def test_anchors_are_the_trained_models_where_they_reach_the_boxes():
    found = values(derive.measure(dataset([square(size) for size in (60, 120, 400)])))
    assert found["model.rpn.anchor_scales"] == [24, 40, 64, 104, 168, 248]
    found = values(derive.measure(dataset([square(size) for size in (8, 12, 30)])))
    assert found["data.short_side"] == [640] and found["model.rpn.anchor_scales"][0] < 16


@pytest.mark.parametrize("height, count, folder", [(950, 9, None), (970, 9, "runs/r/images")])
def test_large_images_are_kept_small(height, count, folder):
    found = derive.measure(dataset([square(height // 2)] * count, height, height))
    assert found.short_side == height
    assert values(found).get("data.cache_dir") == folder


def test_too_many_large_images_are_not_kept():
    found = derive.measure(dataset([square(1000)] * 4, 2000, 2000))._replace(num_images=6000)
    assert "data.cache_dir" not in values(found)


def test_anchors_in_strides_stay():
    found = values(
        derive.measure(dataset([square(60)])), model=start(**{"model.rpn.anchor_unit": "stride"})
    )
    assert "model.rpn.anchor_scales" not in found


def test_the_rate_falls_to_zero_whatever_the_trained_model_did():
    model = start(**{"train.schedule": "step", "train.decay_epochs": [8, 11]})
    assert values(derive.measure(dataset([square(60)])), model=model)["train.schedule"] == "cosine"


@pytest.mark.parametrize("optimizer, rate", [("sgd", 0.03), ("adamw", 1e-4)])
def test_the_learning_rate_is_a_new_tasks_where_it_is_sgds(optimizer, rate):
    rates = {"sgd": 0.0075, "adamw": 1e-4}  # of the trained model
    options = {"train.optimizer": optimizer, "train.learning_rate": rates[optimizer]}
    model = start(**options, **{"train.gradient_multipliers": {}})
    found = values(derive.measure(dataset([square(60)])), model=model)
    assert found.get("train.learning_rate", model.train.learning_rate) == rate


def test_kmeans_finds_the_sizes_and_keeps_equal_ones_apart():
    anchors = derive.kmeans(np.repeat([30.0, 60, 120], 50), 6)
    assert len(anchors) == 6 and anchors == sorted(anchors)
    for size in (30, 60, 120):
        assert min(abs(np.log(np.array(anchors) / size))) < np.log(1.3)
    anchors = derive.kmeans(np.full(30, 50.0), 6)
    ratios = np.array(anchors[1:]) / anchors[:-1]
    assert (ratios > 1.2).all() and anchors[0] < 50 < anchors[-1]


def test_few_images_are_seen_more_often():
    epochs = [
        values(derive.measure(dataset([square(80)] * n)))["train.epochs"] for n in (8, 160, 9000)
    ]
    assert epochs[0] == 60 and 60 > epochs[1] > 20 and epochs[2] == 4


@pytest.mark.parametrize("number, size, batch", [(160, 80, 8), (160, 8, 4), (2, 80, 2)])
def test_few_steps_are_made_more_by_smaller_batches(number, size, batch):
    """Small objects ask for large images, of which fewer fit into the time."""
    found = values(derive.measure(dataset([square(size)] * number)))
    assert found["train.batch_size"] == batch
    steps_of_8 = found["train.epochs"] * math.ceil(number / 8)
    assert (steps_of_8 >= derive.LEAST_STEPS) == (batch == 8)


def test_a_training_of_so_many_steps():
    measures = derive.measure(dataset([square(80)] * 100))  # 13 steps an epoch
    found = values(measures, steps=30)
    assert found["train.epochs"] == 3 and found["train.max_steps"] == 30
    assert found["train.warmup_steps"] == 3 and found["train.eval_every"] == 1
    found = values(measures, steps=130)
    assert found["train.epochs"] == 10 and "train.max_steps" not in found
    train = configs.load(None, {"train.epochs": 3, "train.max_steps": 30}).train
    assert derive.num_steps(measures, train) == 30


def test_crowded_images_keep_their_boxes():
    found = values(derive.measure(dataset([square(20, 250)])))
    assert found["model.postprocess.max_detections"] == 500 and "data.max_boxes" not in found


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
    measures = derive.measure(dataset([square(80)] * 9))
    choices = derive.derive(measures, start(), True, "runs/r")
    config = configs.changed(start(), {choice.option: choice.value for choice in choices})
    choices += derive.length(measures, config)
    assert config.data.resize == "keep_ratio" and all(choice.reason for choice in choices)
    lines = derive.describe(choices)
    assert len(lines) == len(choices) and all("  # " in line for line in lines)


def test_no_boxes_are_no_error():
    assert values(derive.measure(dataset([[], []])))["train.epochs"] == 60


def test_objects_that_a_model_finds_need_half_the_rate_and_fewer_images():
    measures = derive.measure(dataset([square(80)] * 160))
    new, known = values(measures), values(measures._replace(found=0.5))
    assert (new["train.learning_rate"], known["train.learning_rate"]) == (0.03, 0.015)
    assert (new["train.epochs"], known["train.epochs"]) == (29, 16)
