"""Each importer of detectors on a small state dict: what goes where, and that every tensor is
accounted for."""

import dataclasses
import functools

import numpy as np
import pytest
from weights import foreign

from lhrcnn import config as configs
from lhrcnn.choices import resolve
from lhrcnn.commands import find_config
from lhrcnn.errors import CheckpointError
from lhrcnn.models.build import build_detector
from lhrcnn.weights import mmdet
from lhrcnn.weights.sources import SOURCES
from lhrcnn.weights.translate import find, translate

SMALL = [
    f"model.backbone.width={foreign.WIDTH}",
    "model.backbone.weights=",
    "model.rpn.pre_nms_test=50",
    "model.rpn.post_nms_test=10",
]
FPN = [*SMALL, "model.fpn.channels=8", "model.rpn.channels=8", "model.head.fc_channels=16"]
CASES = {
    "mmdet_fpn": ("mmdet", foreign.mmdet_fpn, "faster_rcnn_resnet50_fpn_coco", FPN),
    "mmdet_c4": (
        "mmdet",
        foreign.mmdet_c4,
        "faster_rcnn_resnet50_c4_coco",
        [*SMALL, "model.rpn.channels=64"],
    ),
    "torchvision": (
        "torchvision",
        foreign.torchvision_fpn,
        "faster_rcnn_resnet50_fpn_coco_torchvision",
        FPN,
    ),
    "torchvision_v2": (
        "torchvision",
        foreign.torchvision_fpn_v2,
        "faster_rcnn_resnet50_fpn_v2_coco_torchvision",
        [*FPN, "model.head.conv_layers=2", "model.head.conv_channels=8"],
    ),
    "torchvision_mobilenet": (
        "torchvision",
        foreign.torchvision_mobilenet_v3_fpn,
        "faster_rcnn_mobilenet_v3_large_fpn_coco_torchvision",
        [*FPN, f"model.backbone.width={foreign.V3_WIDTH}"],
    ),
    "detectron2": (
        "detectron2",
        foreign.detectron2,
        "faster_rcnn_resnet50_fpn_coco_detectron2",
        FPN,
    ),
    "light_head": (
        "tf-slim",
        foreign.light_head,
        "faster_rcnn_resnet50_fpn_coco",
        [
            *SMALL,
            "model.fpn.channels=0",
            "model.rpn.levels=[c4]",
            "model.rpn.channels=16",
            "model.rpn.anchor_scales=[2, 4, 8, 16, 32]",
            "model.head.kind=light",
            "model.head.levels=[c5]",
            "model.head.pool_size=3",
            "model.head.mid_channels=8",
            "model.head.thin_channels=2",
            "model.head.kernel_size=5",
            "model.head.fc_channels=16",
            "model.head.sampling_ratio=2",
            "model.backbone.out_stride=16",
        ],
    ),
    "chenyuntc": (
        "chenyuntc",
        foreign.chenyuntc,
        "faster_rcnn_vgg16_voc07",
        [
            "model.backbone.width=0.03125",
            "model.backbone.weights=",
            "model.rpn.channels=16",
            "model.head.fc_channels=32",
        ],
    ),
}


def small_config(name, overrides):
    """The Config of a shipped file with overrides."""
    return configs.load(find_config(name), overrides)


@functools.cache
def built(case):
    """(detector, its ModelConfig) of a case, with two classes."""
    config = small_config(*CASES[case][2:])
    return build_detector(config, 2), config.model


def converted(case, state):
    """(variables as arrays, Translation) of the case's model with a state dict."""
    detector, model = built(case)
    shapes = {name: tuple(variable.shape) for name, variable in detector.named_variables().items()}
    translation = translate(
        resolve(SOURCES[CASES[case][0]].describe)(dict(state), model),
        shapes,
        detector.pixel_mean,
        detector.pixel_std,
        "checkpoint",
    )
    return translation.arrays, translation


@pytest.fixture(scope="module", params=CASES)
def case(request):
    """(name, its state dict, variables as arrays, Translation)."""
    state = CASES[request.param][1](np.random.default_rng(0))
    return (request.param, state, *converted(request.param, state))


def test_every_variable_is_set_and_every_tensor_used_or_dropped_for_a_reason(case):
    name, state, variables, translation = case
    assert set(translation.arrays) == set(built(name)[0].named_variables()) and not translation.new
    assert all(
        name.endswith(
            ("num_batches_tracked", "Momentum", "global_step", "cell_anchors.0", "pixel_mean")
        )
        for name in translation.dropped
    )
    assert len(state) == len(translation.dropped) + len(variables)


def test_unknown_missing_and_misshapen_tensors_are_all_named(case):
    name, state, *_ = case
    state = {**state, "roi_head.mask_head.weight": np.zeros([1, 2])}
    missing, wide = (
        next(key for key in sorted(state) if key.endswith(ends))
        for ends in (
            (
                "layer2.1.bn1.weight",
                "res3.1.conv1.norm.weight",
                "body.3.block.1.1.weight",
                "unit_2/bottleneck_v1/conv1/BatchNorm/gamma",
                "rpn.loc.bias",
            ),
            (
                "layer1.2.conv3.weight",
                "res2.2.conv3.weight",
                "body.3.block.2.0.weight",
                "unit_3/bottleneck_v1/conv3/weights",
                "extractor.5.weight",
            ),
        )
    )
    del state[missing]
    state[wide] = np.zeros([17, 4, 1, 1], np.float32)
    with pytest.raises(ValueError, match="3 tensors") as error:
        converted(name, state)
    assert f"{missing}: not in the checkpoint" in str(
        error.value
    ) and f"{wide}: [17, 4, 1, 1] does not make" in str(error.value)
    assert "roi_head.mask_head.weight: [1, 2] in the checkpoint, unknown to this model" in str(
        error.value
    )


def test_numbers_where_tensors_belong_are_named(case):
    name, state, *_ = case
    with pytest.raises(CheckpointError, match=r": \[\] does not make head/class_scores/bias"):
        converted(name, {key: np.zeros(()) for key in state})


def test_mmdetection_with_a_pyramid():
    state = foreign.mmdet_fpn(np.random.default_rng(1))
    variables, _ = converted("mmdet_fpn", state)
    np.testing.assert_array_equal(
        variables["backbone/stem/kernel"], state["backbone.conv1.weight"].transpose(2, 3, 1, 0)
    )
    np.testing.assert_array_equal(
        variables["backbone/fpn_lateral_c4/kernel"][0, 0],
        state["neck.lateral_convs.2.conv.weight"][:, :, 0, 0].T,
    )
    np.testing.assert_array_equal(
        variables["backbone/fpn_output_p2/bias"], state["neck.fpn_convs.0.conv.bias"]
    )
    np.testing.assert_array_equal(variables["rpn/objectness/bias"], state["rpn_head.rpn_cls.bias"])
    np.testing.assert_array_equal(
        variables["rpn/box/bias"][4:8], state["rpn_head.rpn_reg.bias"][[5, 4, 7, 6]]
    )
    np.testing.assert_array_equal(
        variables["head/class_scores/kernel"], state["roi_head.bbox_head.fc_cls.weight"].T
    )
    np.testing.assert_array_equal(
        variables["head/class_boxes/kernel"][:, 4], state["roi_head.bbox_head.fc_reg.weight"][5]
    )
    np.testing.assert_array_equal(
        variables["head/fc1/kernel"][8 * (7 * 2 + 3) + 5],
        state["roi_head.bbox_head.shared_fcs.0.weight"][:, 49 * 5 + 7 * 2 + 3],
        "row 2, column 3, channel 5",
    )


def test_mmdetection_2_keeps_what_was_trained_beside_the_averages():
    state = foreign.mmdet_c4(np.random.default_rng(1))
    state["ema_backbone_conv1_weight"] = np.zeros_like(state["backbone.conv1.weight"])
    variables, translation = converted("mmdet_c4", state)
    assert "ema_backbone_conv1_weight" in translation.dropped
    assert np.any(variables["backbone/stem/kernel"])


def test_mmdetection_c4_takes_bgr():
    state = foreign.mmdet_c4(np.random.default_rng(1))
    variables, _ = converted("mmdet_c4", state)
    np.testing.assert_array_equal(
        variables["backbone/stem/kernel"],
        state["backbone.conv1.weight"].transpose(2, 3, 1, 0)[:, :, ::-1],
    )
    (beta,) = (array for name, array in variables.items() if name.endswith("c5_2_conv_norm/beta"))
    np.testing.assert_array_equal(beta, state["roi_head.shared_head.layer4.1.bn2.bias"])


def test_torchvision_has_the_background_first_and_a_box_for_it():
    state = foreign.torchvision_fpn(np.random.default_rng(1))
    variables, _ = converted("torchvision", state)
    np.testing.assert_array_equal(
        variables["head/class_scores/bias"],
        state["roi_heads.box_predictor.cls_score.bias"][[1, 2, 0]],
    )
    np.testing.assert_array_equal(
        variables["head/class_boxes/bias"][:4],
        state["roi_heads.box_predictor.bbox_pred.bias"][[5, 4, 7, 6]],
    )


def test_torchvisions_first_release_has_other_names_and_no_epsilon():
    rng = np.random.default_rng(1)
    state, same = (
        foreign.torchvision_fpn(rng, old_names=True),
        foreign.torchvision_fpn(np.random.default_rng(1)),
    )
    variables, _ = converted("torchvision", state)
    np.testing.assert_array_equal(variables["rpn/conv/bias"], state["rpn.head.conv.bias"])
    np.testing.assert_array_equal(
        variables["backbone/fpn_output_p3/bias"], state["backbone.fpn.layer_blocks.1.bias"]
    )
    scale = variables["backbone/stem_norm/gamma"] / np.sqrt(
        variables["backbone/stem_norm/moving_variance"] + 1e-5
    )
    np.testing.assert_allclose(
        scale,
        state["backbone.body.bn1.weight"] / np.sqrt(state["backbone.body.bn1.running_var"]),
        rtol=1e-6,
    )
    np.testing.assert_array_equal(
        converted("torchvision", same)[0]["backbone/stem_norm/gamma"],
        same["backbone.body.bn1.weight"],
    )


def test_torchvisions_second_version():
    state = foreign.torchvision_fpn_v2(np.random.default_rng(1))
    variables, _ = converted("torchvision_v2", state)
    np.testing.assert_array_equal(
        variables["rpn/conv2/kernel"], state["rpn.head.conv.1.0.weight"].transpose(2, 3, 1, 0)
    )
    np.testing.assert_array_equal(
        variables["head/conv2_norm/beta"], state["roi_heads.box_head.1.1.bias"]
    )
    np.testing.assert_array_equal(
        variables["head/fc1/kernel"][8 * (7 * 2 + 3) + 5],
        state["roi_heads.box_head.3.weight"][:, 49 * 5 + 7 * 2 + 3],
    )
    norm = "backbone/fpn_output_p3_norm"
    np.testing.assert_allclose(  # our pyramid's batch norms have Keras's epsilon
        variables[f"{norm}/gamma"] / np.sqrt(variables[f"{norm}/moving_variance"] + 1e-3),
        state["backbone.fpn.layer_blocks.1.1.weight"]
        / np.sqrt(state["backbone.fpn.layer_blocks.1.1.running_var"] + 1e-5),
        rtol=1e-6,
    )


def test_torchvisions_mobilenet_has_an_epsilon_whatever_its_names():
    state = foreign.torchvision_mobilenet_v3_fpn(np.random.default_rng(1))
    variables, _ = converted("torchvision_mobilenet", state)
    np.testing.assert_array_equal(
        variables["backbone/block0_norm/gamma"], state["backbone.body.0.1.weight"]
    )
    np.testing.assert_array_equal(
        variables["backbone/block4_excite/kernel"][0, 0],
        state["backbone.body.4.block.2.fc2.weight"][:, :, 0, 0].T,
    )
    np.testing.assert_array_equal(
        variables["backbone/fpn_lateral_c5_1/bias"], state["backbone.fpn.inner_blocks.0.bias"]
    )


def test_detectron2_takes_bgr_and_has_its_own_order_of_anchors():
    rng = np.random.default_rng(1)
    state = foreign.detectron2(rng)
    variables, _ = converted("detectron2", state)
    np.testing.assert_array_equal(
        variables["backbone/stem/kernel"],
        state["backbone.bottom_up.stem.conv1.weight"].transpose(2, 3, 1, 0)[:, :, ::-1],
    )
    np.testing.assert_array_equal(
        variables["head/class_scores/bias"], state["roi_heads.box_predictor.cls_score.bias"]
    )
    model = small_config("faster_rcnn_resnet50_c4_coco_detectron2", []).model
    anchors = np.arange(15)
    state["proposal_generator.rpn_head.anchor_deltas.bias"] = np.repeat(anchors, 4)
    _, steps = find(resolve(SOURCES["detectron2"].describe)(state, model), "rpn/box/bias")
    ours = functools.reduce(lambda array, step: step(array), steps, np.repeat(anchors, 4))
    assert ours[::4].tolist() == [3 * scale + ratio for ratio in range(3) for scale in range(5)]


def test_light_head_of_tensorflow_1():
    state = foreign.light_head(np.random.default_rng(1))
    variables, _ = converted("light_head", state)
    scope, thin_map = "resnet_v1_50/", "head/thin_map/"
    np.testing.assert_array_equal(
        variables["rpn/objectness/bias"],
        np.diff(state[f"{scope}rpn_cls_score/biases"].reshape(-1, 2))[:, 0],
    )
    np.testing.assert_array_equal(
        variables[f"{thin_map}tall_in/kernel"], state[f"{scope}conv_new_1_conv5_w_pre/weights"]
    )
    np.testing.assert_array_equal(
        variables[f"{thin_map}tall_out/bias"][(3 * 2 + 1) * 2 + 1],
        state[f"{scope}conv_new_1_conv5_h/biases"][(1 * 3 + 2) * 3 + 1],
        "bin row 2, column 1, channel 1",
    )
    np.testing.assert_array_equal(variables["head/fc/kernel"], state[f"{scope}ps_fc_1/weights"])
    np.testing.assert_array_equal(
        variables["head/class_scores/bias"], state[f"{scope}cls_fc/biases"][[1, 2, 0]]
    )
    np.testing.assert_array_equal(
        variables["head/class_boxes/bias"][4:], state[f"{scope}bbox_fc/biases"][[9, 8, 11, 10]]
    )


@pytest.mark.parametrize("fc7", ["head.classifier.2", "head.classifier.3"])
def test_simple_faster_rcnn_with_and_without_dropout(fc7):
    state = foreign.chenyuntc(np.random.default_rng(1), fc7=fc7)
    variables, _ = converted("chenyuntc", state)
    np.testing.assert_array_equal(
        variables["rpn/objectness/bias"], np.diff(state["rpn.score.bias"].reshape(-1, 2))[:, 0]
    )
    np.testing.assert_array_equal(variables["rpn/box/bias"], state["rpn.loc.bias"])
    np.testing.assert_array_equal(variables["head/fc2/kernel"], state[f"{fc7}.weight"].T)
    np.testing.assert_array_equal(
        variables["head/class_boxes/bias"], state["head.cls_loc.bias"][4:]
    )
    np.testing.assert_array_equal(
        variables["backbone/conv1_1/kernel"], state["extractor.0.weight"].transpose(2, 3, 1, 0)
    )


def test_simple_faster_rcnn_with_caffes_weights_takes_bgr():
    config = small_config("faster_rcnn_vgg16_voc07", ["model.backbone.pixel_std=[1, 1, 1]"])
    assert resolve(SOURCES["chenyuntc"].describe)(
        foreign.chenyuntc(np.random.default_rng(1)), config.model
    ).pixels.bgr


def test_mmdetection_1_is_told_from_others():
    with pytest.raises(CheckpointError, match="it has no roi_head.*; it is of version 1, whose"):
        mmdet.describe({"bbox_head.fc_cls.bias": np.zeros(81)}, configs.load(None).model)


@pytest.mark.parametrize("source", SOURCES)
def test_other_checkpoints_are_refused(source):
    model = configs.load(None, ["model.backbone.name=resnet50"]).model
    if source == "keras":
        model = dataclasses.replace(
            model, backbone=dataclasses.replace(model.backbone, style="caffe")
        )
    with pytest.raises(ValueError, match="it has no|they have no"):
        resolve(SOURCES[source].describe)({"head.weight": np.zeros(3)}, model)
