"""The whole detector: one training step, replicas, options, and inputs nobody hopes for."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from lhrcnn.distribution import strategy_for
from lhrcnn.errors import ConfigError
from lhrcnn.keras import keras
from lhrcnn.models.build import build_detector
from lhrcnn.models.detector import TwoStageDetector
from lhrcnn.models.step import total

XCEPTION = "model.backbone.name=xception"
LOSSES = ("rpn_objectness", "rpn_box", "head_class", "head_box")


def make(config, num_classes=3, **compile_options):
    keras.utils.set_random_seed(1)
    detector = build_detector(config, num_classes)
    detector.compile(keras.optimizers.SGD(0.02, momentum=0.9), **compile_options)
    return detector


def test_it_learns_one_batch_by_heart(tiny_config, random_batch):
    config = tiny_config("model.rpn.border_px=-1.0", "model.backbone.batch_norm=frozen")
    detector, batch = make(config), random_batch()
    dataset = tf.data.Dataset.from_tensors(batch).repeat(100)
    first = detector.test_step(batch)["loss"]
    detector.fit(dataset, verbose=0)
    assert detector.test_step(batch)["loss"] < 0.8 * first


@pytest.mark.parametrize("seed", [7, 2**31 - 1, 2**32 - 1])
def test_any_seed_that_is_allowed_draws_numbers_and_small_ones_what_they_always_did(seed):
    images = {"image": tf.zeros([2, 1, 1, 3])}
    rows = TwoStageDetector._random_rows(SimpleNamespace(seed=seed), images, 5, 3, 0, 1)
    assert rows.shape == [2, 5] and len(np.unique(rows)) == 10
    if seed < 2**31:
        drawn = tf.random.stateless_uniform([2, 5], tf.constant([seed, 3], tf.int32))
        np.testing.assert_array_equal(rows, drawn)


def test_variables_have_unique_stable_names(tiny_config):
    detectors = [build_detector(tiny_config(), 3) for _ in range(2)]
    first, second = (detector.named_variables() for detector in detectors)
    assert list(first) == list(second)
    assert {
        "backbone/stem/kernel",
        "rpn/box/bias",
        "head/thin_map/tall_in/kernel",
        "head/fc/kernel",
        "head/class_boxes/kernel",
    } <= set(first)
    assert len({v.ref() for v in first.values()}) == len(first) == len(detectors[0].weights)


def test_new_layers_do_not_share_their_random_numbers(small_config):
    variables = build_detector(small_config(), 3).named_variables()
    kernels = [
        variables[f"head/thin_map/{name}/kernel"].numpy().ravel()[:16]
        for name in ("tall_in", "wide_in")
    ]
    assert not np.allclose(*kernels)


@pytest.mark.parametrize(
    "options",
    [
        ["model.backbone.name=mobilenet_v2"],
        ["model.head.sampler=random"],
        ["model.head.class_agnostic=true"],
        ["model.head.box_loss=giou"],
        ["model.head.pool=avg"],
        [XCEPTION, "model.backbone.batch_norm=frozen", "model.backbone.frozen_stages=2"],
        [XCEPTION, "model.backbone.out_stride=32"],
        ["model.head.label_smoothing=0.1"],
        ["model.head.roi_impl=tf"],
        ["model.rpn.box_loss=l1", "model.rpn.best_iou=0.3"],
        ["model.postprocess.soft_nms_sigma=0.5"],
        ["model.postprocess.min_size_px=5"],
    ],
)
def test_options_train_and_detect(small_config, random_batch, options):
    detector, batch = make(small_config(*options)), random_batch(2)
    before = {name: v.numpy() for name, v in detector.named_variables().items()}
    scalars = detector.train_step(batch)
    assert all(np.isfinite(value) for value in scalars.values()) and set(LOSSES) < set(scalars)
    changed = {
        "/".join(name.split("/")[:2])
        for name, v in detector.named_variables().items()
        if (before[name] != v.numpy()).any()
    }
    parts = {"rpn/conv", "head/thin_map", "head/fc", "head/class_scores", "head/class_boxes"}
    assert parts < changed, "every part of the detector receives gradients"
    found = detector.detect(batch["image"], batch["image_size"])
    assert found["boxes"].shape == (2, 10, 4) and found["classes"].dtype == tf.int32
    assert np.isfinite(found["boxes"]).all() and (found["scores"].numpy() >= 0).all()


def resnet(*options):
    return [
        "model.backbone.name=resnet50",
        "model.backbone.width=0.125",
        "model.head.sampler=random",
        *options,
    ]


PYRAMID = [
    "model.backbone.out_stride=32",
    "model.fpn.channels=16",
    "model.rpn.levels=[p2, p3, p4, p5, p6]",
    "model.rpn.anchor_scales=[8]",
    "model.rpn.anchor_unit=stride",
    "model.rpn.border_px=-1",
    "model.rpn.batch_per_image=2000",  # every anchor has a loss
    "model.head.levels=[p2, p3, p4, p5]",
]
FAMILY = {
    "VGG16": [
        "model.backbone.name=vgg16",
        "model.backbone.width=0.125",
        "model.head.kind=fc",
        "model.head.roi_op=pool",
        "model.head.fc_layers=2",
    ],
    "C4": resnet(
        "model.backbone.last_level=c4",
        "model.head.kind=stage5",
        "model.head.levels=[c4]",
        "model.head.pool_size=6",
    ),
    "DC5": resnet(
        "model.backbone.dilation=2",
        "model.rpn.levels=[c5]",
        "model.head.kind=fc",
        "model.head.sampling_ratio=0",
        "model.head.aligned=true",
    ),
    "FPN": resnet(
        *PYRAMID, "model.head.kind=fc", "model.head.sampling_ratio=0", "model.head.aligned=true"
    ),
    "ResNeXt FPN": resnet(
        *PYRAMID,
        "model.head.kind=fc",
        "model.backbone.name=resnext101_32x4d",
        "model.backbone.frozen_stages=4",
    ),
    "R-FCN": resnet(
        "model.backbone.dilation=2",
        "model.head.kind=rfcn",
        "model.head.pool=avg",
        "model.head.class_agnostic=true",
    ),
    "Light-Head L": resnet("model.backbone.dilation=2", "model.backbone.stem_pool=same"),
    "Light-Head FPN": resnet(*PYRAMID),
}


@pytest.mark.parametrize("model", FAMILY)
def test_the_family_trains_and_detects(tiny_config, random_batch, model):
    detector, batch = make(tiny_config(*FAMILY[model])), random_batch(2)
    before = {name: variable.numpy() for name, variable in detector.named_variables().items()}
    trainable = {variable.ref() for variable in detector.trainable_variables}
    scalars = detector.train_step(batch)
    assert all(np.isfinite(value) for value in scalars.values())
    for name, variable in detector.named_variables().items():
        if "kernel" in name:
            assert (before[name] != variable.numpy()).any() == (variable.ref() in trainable), name
    found = detector.detect(batch["image"], batch["image_size"])
    assert np.isfinite(found["boxes"]).all() and found["num_detections"].shape == (2,)


PARTS = {"rpn": ("rpn/", "rpn_"), "head": ("head/", "head_")}
ALL_FROZEN = ["model.backbone.frozen_stages=99"]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("options", [[], ALL_FROZEN], ids=["all stages", "frozen"])
def test_one_part_trains_alone(small_config, random_batch, part, options):
    detector = make(small_config(f"train.part={part}", *options), weight_decay=0.1)
    before = {name: variable.numpy() for name, variable in detector.named_variables().items()}
    own, losses = PARTS[part]
    scalars = detector.train_step(random_batch(2))
    assert {name for name in scalars if name not in ("loss", "l2")} == {
        name for name in ("rpn_foreground", "head_foreground", *LOSSES) if name.startswith(losses)
    }
    changed = {
        name
        for name, variable in detector.named_variables().items()
        if (variable.numpy() != before[name]).any()
    }
    learns = (own,)
    if options != ALL_FROZEN:  # the RPN reads c4
        learns += (
            ("backbone/stem", "backbone/c3", "backbone/c4") if part == "rpn" else ("backbone/",)
        )
    assert all(name.startswith(learns) for name in changed)
    assert {name for name in before if name.startswith(learns) and "kernel" in name} <= changed


def test_a_pyramid_is_the_last_stage(small_config):
    pyramid = ["model.fpn.channels=16", "model.fpn.levels=[c3, c4, c5]", "model.rpn.levels=[p4]"]
    for stages, frozen in ((4, False), (5, True), (99, True)):
        config = small_config(*pyramid, f"model.backbone.frozen_stages={stages}")
        variables = build_detector(config, 3).backbone.trainable_variables
        parts = {variable.name.split("_")[0] for variable in variables}
        assert parts == (set() if frozen else {"fpn"})


@pytest.mark.parametrize("sampler, parts", [("random", (1, 2)), ("ohem", (1, 4))])
def test_two_replicas_and_parts_make_the_step_of_one(
    two_cpus, small_config, random_batch, sampler, parts
):
    """Same batch, same seed: losses and updated weights depend neither on the number of devices nor
    of parts of a batch."""
    config = small_config("model.backbone.batch_norm=frozen", f"model.head.sampler={sampler}")
    batch = random_batch(4)
    batch["classes"] = tf.tensor_scatter_nd_update(
        batch["classes"], [[1]], [[-1] * 5]
    )  # counts differ from image to image
    outcomes = []
    for strategy, number in zip(
        (strategy_for("CPU:0"), strategy_for("CPU:0") if 4 in parts else two_cpus), parts
    ):
        with strategy.scope():
            detector = make(
                config,
                weight_decay=0.01,
                gradient_multipliers={"head/thin_map": 3.0},
                accumulate_steps=number,
            )
        batches = strategy.experimental_distribute_dataset(
            tf.data.Dataset.from_tensors(batch).repeat(2)
        )
        step = tf.function(lambda b, s=strategy, d=detector: s.run(d.train_step, (b,)))
        scalars = [step(b) for b in batches][-1]
        scalars = {
            name: strategy.reduce("SUM", value, axis=None).numpy()
            for name, value in scalars.items()
        }
        outcomes.append(
            (scalars, {name: v.numpy() for name, v in detector.named_variables().items()})
        )
    for name, value in outcomes[0][0].items():
        np.testing.assert_allclose(value, outcomes[1][0][name], rtol=1e-4, err_msg=name)
    for name, value in outcomes[0][1].items():
        np.testing.assert_allclose(value, outcomes[1][1][name], rtol=1e-3, atol=1e-6, err_msg=name)


def test_a_replica_without_boxes_does_no_harm(two_cpus, small_config, random_batch):
    strategy = two_cpus
    with strategy.scope():
        detector = make(small_config())
    batch = random_batch(4)
    batch["classes"] = tf.concat([batch["classes"][:2], tf.fill([2, 5], -1)], 0)
    batches = strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensors(batch))
    step = tf.function(lambda b: strategy.run(detector.train_step, (b,)))
    scalars = step(next(iter(batches)))
    assert all(np.isfinite(strategy.reduce("SUM", value, axis=None)) for value in scalars.values())


def test_same_seed_same_step_and_other_seed_other_sample(small_config, random_batch):
    config, batch = (
        small_config(
            "model.rpn.batch_per_image=4",
            "model.head.sampler=random",
            "model.head.batch_per_image=4",
        ),
        random_batch(),
    )
    runs = [make(config, seed=seed).train_step(batch)["loss"].numpy() for seed in (5, 5, 6)]
    assert runs[0] == runs[1] != runs[2]


def test_weight_decay_is_on_kernels_only_and_multipliers_on_names(
    tiny_config, small_config, random_batch
):
    batch, plain, decayed = (
        random_batch(),
        make(small_config()),
        make(tiny_config(), weight_decay=0.1),
    )
    kernels = [v for v in decayed.trainable_variables if "kernel" in v.name]
    expected = 0.1 * sum(float(np.sum(v.numpy() ** 2)) / 2 for v in kernels)
    np.testing.assert_allclose(decayed.train_step(batch)["l2"], expected, rtol=1e-4)
    assert plain.train_step(batch)["l2"] == 0

    def update(factor):
        detector = make(small_config(), gradient_multipliers={"head/thin_map": factor})
        before = {name: v.numpy() for name, v in detector.named_variables().items()}
        detector.train_step(batch)
        return {name: v.numpy() - before[name] for name, v in detector.named_variables().items()}

    one, three = update(1.0), update(3.0)
    np.testing.assert_allclose(
        three["head/thin_map/wide_out/kernel"],
        3 * one["head/thin_map/wide_out/kernel"],
        rtol=1e-3,
        atol=1e-8,
    )
    np.testing.assert_allclose(
        three["rpn/conv/kernel"], one["rpn/conv/kernel"], rtol=1e-3, atol=1e-8
    )


def test_padding_is_invisible(small_config, random_batch):
    """Detections of an image do not depend on what stands in the padded area."""
    detector, batch = make(small_config()), random_batch(1)
    clean = tf.concat(
        [
            tf.concat([batch["image"][:, :40, :48], tf.zeros([1, 40, 16, 3], tf.uint8)], 2),
            tf.zeros([1, 24, 64, 3], tf.uint8),
        ],
        1,
    )
    dirty = tf.where(clean == 0, tf.constant(200, tf.uint8), clean)
    dirty = tf.concat([tf.concat([clean[:, :40, :48], dirty[:, :40, 48:]], 2), dirty[:, 40:]], 1)
    size = tf.constant([[40.0, 48.0]])
    a, b = detector.detect(clean, size), detector.detect(dirty, size)
    np.testing.assert_allclose(a["boxes"], b["boxes"], atol=1e-4)
    assert a["boxes"].numpy()[..., 2].max() <= 40 and a["boxes"].numpy()[..., 3].max() <= 48


@pytest.mark.parametrize("height, width", [(1, 1), (33, 7), (64, 200)])
def test_odd_image_sizes(small_config, height, width):
    detector = make(small_config())
    found = detector.detect(
        tf.zeros([1, height, width, 3], tf.uint8), tf.constant([[float(height), float(width)]])
    )
    assert np.isfinite(found["boxes"]).all() and found["boxes"].shape == (1, 10, 4)


def test_nan_weights_detect_nothing_and_do_not_crash(small_config, random_batch):
    detector, batch = make(small_config()), random_batch(2)
    kernel = detector.named_variables()["backbone/stem/kernel"]
    kernel.assign(tf.fill(kernel.shape, float("nan")))
    found = detector.detect(batch["image"], batch["image_size"])
    assert found["num_detections"].numpy().tolist() == [0, 0] and np.isfinite(found["boxes"]).all()


def test_detect_is_traced_once_for_many_sizes(small_config):
    detector, traces = make(small_config()), []

    @tf.function(
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8), tf.TensorSpec([None, 2])]
    )
    def detect(image, size):
        traces.append(1)
        return detector.detect(image, size)

    for height, width in ((64, 64), (96, 64), (32, 128)):
        detect(tf.zeros([2, height, width, 3], tf.uint8), tf.fill([2, 2], 32.0))
    assert len(traces) == 1


def test_level_the_backbone_does_not_have(small_config):
    with pytest.raises(
        ValueError, match="'model.rpn.levels': there is no map 'p3', only c3, c4, c5"
    ):
        build_detector(small_config("model.rpn.levels=[p3]"), 3)


@pytest.mark.parametrize(
    "option, levels, right",
    [
        ("model.rpn.levels", "c4, c4", "c4"),
        ("model.head.levels", "c5, c3", "c3, c5"),
        ("model.fpn.levels", "c4, c3", "c3, c4"),
        ("model.locnet.levels", "c5, c5", "c5"),
    ],
)
def test_levels_in_a_wrong_place_or_twice_are_refused(small_config, option, levels, right):
    pyramid = 8 if option == "model.fpn.levels" else 0
    message = f"'{option}': found {levels}; name each map once, from fine to coarse: {right}$"
    with pytest.raises(ConfigError, match=message):
        build_detector(small_config(f"{option}=[{levels}]", f"model.fpn.channels={pyramid}"), 3)


@pytest.mark.parametrize(
    "option, others",
    [
        ("model.rpn.levels", []),
        ("model.head.levels", []),
        ("model.head.levels", ["model.head.kind=fc"]),
        ("model.locnet.levels", ["model.head.localisation=in_out"]),
    ],
)
def test_maps_of_other_channels_are_refused_where_layers_are_shared(small_config, option, others):
    message = f"'{option}': .* channels differ: 8 in c3, 16 in c4; name one, or levels of a pyramid"
    with pytest.raises(ConfigError, match=message):
        build_detector(small_config(f"{option}=[c3, c4]", *others), 3)


def test_a_factor_that_meets_no_variable_is_an_error(small_config):
    with pytest.raises(ConfigError, match="gradient_multipliers.*begins with 'head/thinmap'"):
        make(small_config(), gradient_multipliers={"head/thinmap": 3.0})


def test_a_factor_may_have_the_name_of_older_versions(small_config):
    """Run directories of then are trained on."""
    detector = make(small_config(), gradient_multipliers={"thin_map": 3.0})
    names = {variable.ref(): name for name, variable in detector.named_variables().items()}
    for variable, factor in zip(detector.trainable_variables, detector.gradient_factors):
        assert factor == (3.0 if names[variable.ref()].startswith("head/thin_map") else 1.0)


@pytest.mark.parametrize("accumulate_steps", [1, 2])
def test_a_variable_without_a_gradient_decays_and_does_no_harm(
    small_config, random_batch, accumulate_steps
):
    config = small_config()
    detector = build_detector(config, 3)
    detector.head.unused = keras.layers.Dense(2, name="unused")
    detector.head.unused.build([None, 3])
    before = detector.head.unused.kernel.numpy()
    detector.compile(
        keras.optimizers.SGD(0.5),
        weight_decay=0.1,
        gradient_multipliers={"head": 2.0},
        accumulate_steps=accumulate_steps,
    )
    scalars = detector.train_step(random_batch())
    assert np.isfinite(scalars["loss"])
    kernel = detector.head.unused.kernel.numpy()
    np.testing.assert_allclose(kernel, before * (1 - 2 * 0.5 * 0.1), rtol=1e-5)
    assert (detector.head.unused.bias.numpy() == 0).all()


def test_losses_are_told_from_counts(small_config, random_batch):
    """Whatever they are called."""
    detector, batch = make(small_config()), random_batch()
    own = detector.sums_of

    def renamed(*arguments):
        sums, numbers = own(*arguments)
        return {f"{name}_foreground": value for name, value in sums.items()}, numbers

    plain = detector.losses_of(batch, False, 0)
    detector.sums_of = renamed
    scalars = detector.losses_of(batch, False, 0)
    assert total(scalars) == total(plain) > 0
    assert tuple(scalars.counts) == detector.counts == ("rpn_foreground", "head_foreground")
