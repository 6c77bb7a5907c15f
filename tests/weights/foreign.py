"""Small state dicts with the names and layouts of other libraries, written down from their module
definitions."""

import numpy as np

RESNET50 = (3, 4, 6, 3)
WIDTH = 1 / 16  # of the ResNets here: the stem has 4 channels, stage 5 ends with 128


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
