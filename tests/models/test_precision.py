"""Every arithmetic with every head and the localisation that has all parts, on a backbone of three
convolutions."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from lhrcnn.keras import keras
from lhrcnn.models.backbones import BACKBONES, LAST_STAGES
from lhrcnn.models.build import arithmetic, build_detector
from lhrcnn.models.parts import Backbone

HEADS = {
    "light": [],
    "fc": ["model.head.kind=fc"],
    "stage5": ["model.head.kind=stage5", "model.backbone.last_level=c4", "model.head.levels=[c4]"],
    "rfcn": ["model.head.kind=rfcn"],
}
SMALL = [
    "model.backbone.name=three",
    "model.locnet.channels=4",
    "model.locnet.pool_size=4",
    "model.locnet.cells=8",
]
SIXTEEN = ["mixed_float16", "mixed_bfloat16"]


def conv(x, strides, name):
    return keras.layers.Conv2D(4, 3, strides, "same", activation="relu", name=name)(x)


def three(config):
    image = keras.Input([None, None, 3])
    maps = {"c3": conv(image, 8, "c3")}
    maps["c4"] = conv(maps["c3"], 2, "c4")
    maps["c5"] = conv(maps["c4"], 1, "c5")
    return Backbone(image, maps, {"c3": 8, "c4": 16, "c5": 16}, (0, 0, 0), (255, 255, 255), maps)


def last(config):
    pooled = keras.Input([None, None, 4])
    return keras.Model(pooled, conv(pooled, 2, "c5"), name="stage5")


@pytest.fixture
def built(tiny_config, monkeypatch):
    """A function (precision, options) -> a detector of three classes."""
    monkeypatch.setitem(BACKBONES, "three", three)
    monkeypatch.setitem(LAST_STAGES, "three", last)

    def build(precision, *options):
        with arithmetic(precision):
            return build_detector(tiny_config(*SMALL, *options), 3)

    return build


@pytest.mark.parametrize(
    "head, localisation",
    [
        *itertools.product(HEADS, ("box", "combined")),
        ("light", "in_out"),  # a part of combined, as borders are
        ("light", "borders"),
    ],
)
@pytest.mark.parametrize("precision", ["float32", *SIXTEEN])
def test_it_trains_and_detects(built, random_batch, precision, head, localisation):
    detector = built(precision, *HEADS[head], f"model.head.localisation={localisation}")
    detector.compile(keras.optimizers.SGD(0.01))
    batch, variables = random_batch(1, size=32), detector.named_variables()
    before = {name: variable.numpy() for name, variable in variables.items()}
    scalars = detector.train_step(batch)
    losses = ["rpn_objectness", "rpn_box", "head_class", "head_box"]
    losses += ["head_locnet"] if localisation != "box" else []
    assert set(scalars) == {"loss", "l2", *losses, *detector.counts}
    for name in losses:
        assert np.isfinite(scalars[name]) and scalars[name].dtype == tf.float32, name
    assert scalars[losses[-1] if localisation != "box" else "head_class"] > 0
    assert 0 < scalars["head_foreground"] <= 16
    assert {variable.dtype for variable in variables.values()} == {tf.float32}
    changed = {name for name in before if (variables[name].numpy() != before[name]).any()}
    for part in ("backbone/c3/kernel", "rpn/conv/kernel"):
        assert part in changed
    assert any(name.startswith("head/") for name in changed)
    maps = detector.backbone(detector.preprocess(batch["image"], batch["image_size"]))
    assert maps["c4"].dtype == precision.replace("mixed_", "")
    found = detector.detect(batch["image"], batch["image_size"])
    assert found["boxes"].dtype == found["scores"].dtype == tf.float32
    assert np.isfinite(found["boxes"]).all() and found["boxes"].numpy().max() <= 32


@pytest.mark.parametrize("head", ["light", "fc", "stage5"])
@pytest.mark.parametrize("precision", SIXTEEN)
def test_boxes_of_whole_images_are_not_rounded(built, precision, head, monkeypatch):
    """With 16 bits Keras rounds what a layer gets first: 2001 px would become 2000."""
    detector = built(precision, "model.head.global_context=true", *HEADS[head])
    seen, call = [], detector.head.extractor.call

    def watched(prepared, boxes, training=False):
        seen.append(boxes)
        return call(prepared, boxes, training=training)

    monkeypatch.setattr(detector.head.extractor, "call", watched)
    size, boxes = tf.constant([[2001.0, 517.0]]), tf.constant([[[0.0, 0.0, 301.0, 259.0]]])
    maps = {level: tf.zeros([1, 4, 4, 4], precision[6:]) for level in ("c3", "c4", "c5")}
    detector.head.localise(detector.head.prepare(maps, size), boxes, size)
    np.testing.assert_array_equal(seen[0], [[[0, 0, 2001, 517], [0, 0, 301, 259]]])
