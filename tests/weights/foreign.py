"""Small state dicts with the names and layouts of other libraries, written down from their module
definitions."""

import re

import numpy as np

RESNET50 = (3, 4, 6, 3)
WIDTH = 1 / 16  # of the ResNets here: the stem has 4 channels, stage 5 ends with 128
V3_WIDTH = 1 / 4  # of MobileNetV3-Large
V3_UNITS = (  # expanded channels, squeezed, of the output
    (8, 0, 8),
    (16, 0, 8),
    (24, 0, 8),
    (24, 8, 16),
    (32, 8, 16),
    (32, 8, 16),
    (64, 0, 24),
    (48, 0, 24),
    (48, 0, 24),
    (48, 0, 24),
    (120, 32, 32),
    (168, 40, 32),
    (168, 40, 40),
    (240, 64, 40),
    (240, 64, 40),
)
DETECTRON2_NAMES = (  # of mmdetection -> of Detectron2
    (r"^backbone\.(conv|bn)1\.", r"backbone.bottom_up.stem.\g<1>1."),
    (r"^backbone\.layer(\d)", lambda match: f"backbone.bottom_up.res{int(match[1]) + 1}"),
    (r"\bbn(\d)\.", r"conv\1.norm."),
    (r"downsample\.0", "shortcut"),
    (r"downsample\.1", "shortcut.norm"),
    (
        r"neck\.(lateral|fpn)_convs\.(\d)\.conv",
        lambda match: f"backbone.fpn_{match[1].replace('fpn', 'output')}{int(match[2]) + 2}",
    ),
    (r"rpn_head\.rpn_conv", "proposal_generator.rpn_head.conv"),
    (r"rpn_head\.rpn_cls", "proposal_generator.rpn_head.objectness_logits"),
    (r"rpn_head\.rpn_reg", "proposal_generator.rpn_head.anchor_deltas"),
    (
        r"roi_head\.bbox_head\.shared_fcs\.(\d)",
        lambda match: f"roi_heads.box_head.fc{int(match[1]) + 1}",
    ),
    (r"roi_head\.bbox_head\.fc_cls", "roi_heads.box_predictor.cls_score"),
    (r"roi_head\.bbox_head\.fc_reg", "roi_heads.box_predictor.bbox_pred"),
)


def norm(state, name, channels, rng):
    """Adds a batch norm."""
    for part in ("weight", "bias", "running_mean", "running_var"):
        state[f"{name}.{part}"] = rng.uniform(0.5, 1.5, channels).astype(np.float32)
    state[f"{name}.num_batches_tracked"] = np.array(7)


def normal(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


def torch_resnet(rng, prefix="", stages=(1, 2, 3, 4), units=RESNET50, stem=True, groups=1):
    """torchvision's ResNet (`layer1.0.conv1.weight` ...), of RESNET50 or other units, WIDTH of its
    channels."""
    state = {}
    if stem:
        state[f"{prefix}conv1.weight"] = normal(rng, 4, 3, 7, 7)
        norm(state, f"{prefix}bn1", 4, rng)
    for stage in stages:
        middle, out = 4 * 2 ** (stage - 1), 16 * 2 ** (stage - 1)
        for unit in range(units[stage - 1]):
            enter = out if unit else (4 if stage == 1 else out // 2)
            layer = f"{prefix}layer{stage}.{unit}."
            for place, shape in enumerate(
                ((middle, enter, 1, 1), (middle, middle // groups, 3, 3), (out, middle, 1, 1)), 1
            ):
                state[f"{layer}conv{place}.weight"] = normal(rng, *shape)
                norm(state, f"{layer}bn{place}", shape[0], rng)
            if not unit:
                state[f"{layer}downsample.0.weight"] = normal(rng, out, enter, 1, 1)
                norm(state, f"{layer}downsample.1", out, rng)
    return state


def _affine(state, rng, name, *shape):
    state[f"{name}.weight"], state[f"{name}.bias"] = normal(rng, *shape), normal(rng, shape[0])


def mmdet_fpn(rng, num_classes=2, channels=8, units=16, num_anchors=3):
    """mmdetection's Faster R-CNN with ResNet-50-FPN."""
    state = torch_resnet(rng, "backbone.")
    for index, enter in enumerate((16, 32, 64, 128)):
        _affine(state, rng, f"neck.lateral_convs.{index}.conv", channels, enter, 1, 1)
        _affine(state, rng, f"neck.fpn_convs.{index}.conv", channels, channels, 3, 3)
    _mmdet_rpn(state, rng, channels, num_anchors)
    _affine(state, rng, "roi_head.bbox_head.shared_fcs.0", units, channels * 49)
    _affine(state, rng, "roi_head.bbox_head.shared_fcs.1", units, units)
    _mmdet_box_head(state, rng, num_classes, units)
    return state


def mmdet_c4(rng, num_classes=2, num_anchors=15):
    """mmdetection's Faster R-CNN with ResNet-50-C4."""
    state = {
        **torch_resnet(rng, "backbone.", stages=(1, 2, 3)),
        **torch_resnet(rng, "roi_head.shared_head.", stages=(4,), stem=False),
    }
    _mmdet_rpn(state, rng, 64, num_anchors)
    _mmdet_box_head(state, rng, num_classes, 128)
    return state


def _mmdet_rpn(state, rng, channels, num_anchors):
    _affine(state, rng, "rpn_head.rpn_conv", channels, channels, 3, 3)
    _affine(state, rng, "rpn_head.rpn_cls", num_anchors, channels, 1, 1)
    _affine(state, rng, "rpn_head.rpn_reg", 4 * num_anchors, channels, 1, 1)


def _mmdet_box_head(state, rng, num_classes, units):
    _affine(state, rng, "roi_head.bbox_head.fc_cls", num_classes + 1, units)
    _affine(state, rng, "roi_head.bbox_head.fc_reg", 4 * num_classes, units)


def torchvision_fpn(rng, num_classes=2, channels=8, units=16, old_names=False):
    """torchvision's fasterrcnn_resnet50_fpn; with the names and frozen batch norms of before 0.13,
    or those of today."""
    state = torch_resnet(rng, "backbone.body.")
    block, conv = ("", "") if old_names else (".0", ".0.0")
    for index, enter in enumerate((16, 32, 64, 128)):
        _affine(state, rng, f"backbone.fpn.inner_blocks.{index}{block}", channels, enter, 1, 1)
        _affine(state, rng, f"backbone.fpn.layer_blocks.{index}{block}", channels, channels, 3, 3)
    _affine(state, rng, f"rpn.head.conv{conv}", channels, channels, 3, 3)
    _affine(state, rng, "rpn.head.cls_logits", 3, channels, 1, 1)
    _affine(state, rng, "rpn.head.bbox_pred", 12, channels, 1, 1)
    _affine(state, rng, "roi_heads.box_head.fc6", units, channels * 49)
    _affine(state, rng, "roi_heads.box_head.fc7", units, units)
    _affine(state, rng, "roi_heads.box_predictor.cls_score", num_classes + 1, units)
    _affine(state, rng, "roi_heads.box_predictor.bbox_pred", 4 * (num_classes + 1), units)
    return {
        name: array
        for name, array in state.items()
        if not (old_names and name.endswith("num_batches_tracked"))
    }


def torchvision_fpn_v2(rng, num_classes=2, channels=8, units=16):
    """torchvision's fasterrcnn_resnet50_fpn_v2, with two of its four convolutions in the head."""
    state = torchvision_fpn(rng, num_classes, channels, units)
    for name in [name for name in state if ".fpn." in name and name.endswith(".bias")]:
        del state[name]
        norm(state, name.replace(".0.bias", ".1"), channels, rng)
    _affine(state, rng, "rpn.head.conv.1.0", channels, channels, 3, 3)
    for index in range(2):
        state[f"roi_heads.box_head.{index}.0.weight"] = normal(rng, channels, channels, 3, 3)
        norm(state, f"roi_heads.box_head.{index}.1", channels, rng)
    for part in ("weight", "bias"):
        state[f"roi_heads.box_head.3.{part}"] = state.pop(f"roi_heads.box_head.fc6.{part}")
        del state[f"roi_heads.box_head.fc7.{part}"]
    return state


def torch_mobilenet_v3(rng, prefix="features."):
    """torchvision's MobileNetV3-Large, V3_WIDTH of its channels."""
    state = {}

    def conv(name, *shape):
        state[f"{prefix}{name}.0.weight"] = normal(rng, *shape)
        norm(state, f"{prefix}{name}.1", shape[0], rng)

    conv("0", 8, 3, 3, 3)
    enter = 8
    for unit, (inner, squeezed, out) in enumerate(V3_UNITS, 1):
        size, name = 5 if unit in (4, 5, 6, 13, 14, 15) else 3, f"{unit}.block."
        place = int(unit > 1)
        if place:
            conv(f"{name}0", inner, enter, 1, 1)
        conv(f"{name}{place}", inner, 1, size, size)
        if squeezed:
            place += 1
            _affine(state, rng, f"{prefix}{name}{place}.fc1", squeezed, inner, 1, 1)
            _affine(state, rng, f"{prefix}{name}{place}.fc2", inner, squeezed, 1, 1)
        conv(f"{name}{place + 1}", out, inner, 1, 1)
        enter = out
    conv("16", 240, 40, 1, 1)
    return state


def torchvision_mobilenet_v3_fpn(rng):
    """torchvision's fasterrcnn_mobilenet_v3_large_fpn as its files have it: the names of before
    0.13, and no counters of batch norms."""
    state = {
        name: array
        for name, array in torchvision_fpn(rng, old_names=True).items()
        if ".body." not in name and not re.search("blocks.[23]", name)
    }
    state.update(torch_mobilenet_v3(rng, "backbone.body."))
    for index, enter in enumerate((40, 240)):
        state[f"backbone.fpn.inner_blocks.{index}.weight"] = normal(rng, 8, enter, 1, 1)
    _affine(state, rng, "rpn.head.cls_logits", 15, 8, 1, 1)
    _affine(state, rng, "rpn.head.bbox_pred", 60, 8, 1, 1)
    return {
        name: array for name, array in state.items() if not name.endswith("num_batches_tracked")
    }


def detectron2(rng, num_classes=2, channels=8, units=16):
    """Detectron2's Faster R-CNN with ResNet-50-FPN: mmdetection's tensors under other names."""
    state = {}
    for name, array in mmdet_fpn(rng, num_classes, channels, units).items():
        for pattern, new in DETECTRON2_NAMES:
            name = re.sub(pattern, new, name)
        if not name.endswith("num_batches_tracked"):
            state[name] = array
    state["proposal_generator.anchor_generator.cell_anchors.0"] = normal(rng, 3, 4)
    return {**state, "pixel_mean": normal(rng, 3, 1, 1)}


def chenyuntc(rng, num_classes=2, fc7="head.classifier.2"):
    """simple-faster-rcnn-pytorch, 1/32 of its channels."""
    state, enter = {}, 3
    for index, out in zip(
        (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
        (2, 2, 4, 4, 8, 8, 8, 16, 16, 16, 16, 16, 16),
    ):
        _affine(state, rng, f"extractor.{index}", out, enter, 3, 3)
        enter = out
    for name, shape in (
        ("rpn.conv1", (16, 16, 3, 3)),
        ("rpn.score", (18, 16, 1, 1)),
        ("rpn.loc", (36, 16, 1, 1)),
        ("head.classifier.0", (32, 784)),
        (fc7, (32, 32)),
        ("head.score", (num_classes + 1, 32)),
        ("head.cls_loc", (4 * num_classes + 4, 32)),
    ):
        _affine(state, rng, name, *shape)
    return state


def slim_resnet(rng, scope="resnet_v1_50", units=RESNET50):
    """TF-slim's ResNet with its classifier, WIDTH of its channels."""
    state = {
        "global_step": np.array(9),
        f"{scope}/logits/weights": normal(rng, 1, 1, 128, 10),
        f"{scope}/logits/biases": normal(rng, 10),
    }

    def conv(name, *shape):
        state[f"{scope}/{name}/weights"] = normal(rng, *shape)
        for part in ("gamma", "beta", "moving_mean", "moving_variance"):
            state[f"{scope}/{name}/BatchNorm/{part}"] = rng.uniform(0.5, 1.5, shape[-1]).astype(
                np.float32
            )

    conv("conv1", 7, 7, 3, 4)
    for block in (1, 2, 3, 4):
        middle, out = 4 * 2 ** (block - 1), 16 * 2 ** (block - 1)
        for unit in range(1, units[block - 1] + 1):
            enter, name = (
                out if unit > 1 else (4 if block == 1 else out // 2),
                f"block{block}/unit_{unit}/bottleneck_v1/",
            )
            conv(f"{name}conv1", 1, 1, enter, middle)
            conv(f"{name}conv2", 3, 3, middle, middle)
            conv(f"{name}conv3", 1, 1, middle, out)
            if unit == 1:
                conv(f"{name}shortcut", 1, 1, enter, out)
    return state


def light_head(rng, num_classes=2, mid=8, bins=3, kernel=5, thin=2):
    """zengarden/light_head_rcnn with a ResNet-50, its momenta included."""
    scope, out = "resnet_v1_50", bins * bins * thin
    state = {name: array for name, array in slim_resnet(rng).items() if "logits" not in name}
    for name, shape in (
        ("rpn_conv/3x3", (3, 3, 64, 16)),
        ("rpn_cls_score", (1, 1, 16, 30)),
        ("rpn_bbox_pred", (1, 1, 16, 60)),
        (f"conv_new_1_conv{kernel}_w_pre", (kernel, 1, 128, mid)),
        (f"conv_new_1_conv{kernel}_w", (1, kernel, mid, out)),
        (f"conv_new_1_conv{kernel}_h_pre", (1, kernel, 128, mid)),
        (f"conv_new_1_conv{kernel}_h", (kernel, 1, mid, out)),
        ("ps_fc_1", (out, 16)),
        ("cls_fc", (16, num_classes + 1)),
        ("bbox_fc", (16, 4 * (num_classes + 1))),
    ):
        state[f"{scope}/{name}/weights"], state[f"{scope}/{name}/biases"] = (
            normal(rng, *shape),
            normal(rng, shape[-1]),
        )
        state[f"{scope}/{name}/weights/Momentum"] = normal(rng, *shape)
    return state
