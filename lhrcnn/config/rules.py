"""What options of different sections must have to do with each other."""

from lhrcnn.choices import resolve

POSITION_SENSITIVE = ("light", "rfcn")  # kinds of heads that pool by PSRoIAlign


def broken_rules(config):
    """A message for each rule between options that a Config breaks."""
    data, backbone, fpn, rpn, head = (
        config.data,
        config.model.backbone,
        config.model.fpn,
        config.model.rpn,
        config.model.head,
    )
    pretrain = config.pretrain
    ends_at_c4 = resolve("lhrcnn.models.backbones:LAST_STAGES")
    checks = [
        (
            len(data.short_side) > 0,
            "'data.short_side': found an empty list, give at least one length in px",
        ),
        (
            len(data.stretch_size) == 2,
            f"'data.stretch_size': expected [height, width], found {data.stretch_size}",
        ),
        (
            len(data.aspect_groups) > 0 and min(data.aspect_groups) >= 1,
            f"'data.aspect_groups': ratios are long/short, at least 1; found {data.aspect_groups}",
        ),
        (
            len(set(data.classes)) == len(data.classes),
            f"'data.classes': a class stands twice in {data.classes}",
        ),
        (
            not data.proposals or not {"MixUp", "Mosaic"} & set(data.transforms),
            "'data.transforms': boxes of 'data.proposals' cannot follow MixUp and Mosaic; leave these out",
        ),
        (
            0 < data.min_crop <= 1,
            f"'data.min_crop': found {data.min_crop}, allowed above 0 up to 1",
        ),
        (
            rpn.negative_iou <= rpn.positive_iou,
            f"'model.rpn.negative_iou' {rpn.negative_iou} is above 'model.rpn.positive_iou' {rpn.positive_iou}",
        ),
        (
            len(rpn.anchor_scales) > 0
            and len(rpn.anchor_ratios) > 0
            and min(rpn.anchor_scales + rpn.anchor_ratios) > 0,
            "'model.rpn.anchor_scales' and 'anchor_ratios': give at least one each, all above 0",
        ),
        (
            backbone.last_level == "c5" or (backbone.name in ends_at_c4 and not fpn.channels),
            "'model.backbone.last_level': c4 is for backbones without a feature pyramid whose last "
            f"stage can run in the head: {', '.join(ends_at_c4)}",
        ),
        (
            head.kind != "stage5" or backbone.last_level == "c4",
            f"'model.head.kind' stage5 takes over the last stage of a backbone that ends at c4; "
            f"'model.backbone.last_level' is {backbone.last_level}",
        ),
        (
            head.sampling_ratio > 0 or head.kind not in POSITION_SENSITIVE,
            f"'model.head.sampling_ratio': PSRoIAlign of a {head.kind} head takes at least 1 sample per side, found 0",
        ),
        (
            len(rpn.kernel_sizes) > 0 and len(set(rpn.kernel_sizes)) == len(rpn.kernel_sizes),
            f"'model.rpn.kernel_sizes': give at least one, each once; found {rpn.kernel_sizes}",
        ),
        (
            not head.skip_channels or head.kind not in POSITION_SENSITIVE,
            f"'model.head.skip_channels': a {head.kind} head pools from one map",
        ),
        (
            len(rpn.levels) > 0 and len(head.levels) > 0,
            "'model.rpn.levels' and 'model.head.levels': name at least one map each",
        ),
        (
            head.kind != "rfcn" or len(head.levels) == 1,
            f"'model.head.levels': an rfcn head reads one map, found {head.levels}",
        ),
        (
            len(backbone.pixel_mean) in (0, 3)
            and len(backbone.pixel_std) in (0, 3)
            and min(backbone.pixel_std, default=1) > 0,
            "'model.backbone.pixel_mean' and 'pixel_std': expected 3 numbers (RGB) or none, deviations above 0",
        ),
        (
            len(head.target_std) == 4 and min(head.target_std) > 0,
            f"'model.head.target_std': expected 4 numbers above 0, found {head.target_std}",
        ),
        (
            head.localisation == "box"
            or len(config.test.scales) == 1
            or config.test.merge != "maxout",
            f"'test.merge: maxout' merges the features of a box, which 'model.head.localisation' {head.localisation} has none of; set test.merge=detections",
        ),
        (
            head.kind != "rfcn"
            or not (
                head.global_context or len(config.test.scales) > 1 and config.test.merge == "maxout"
            ),
            "'model.head.global_context' and 'test.merge: maxout': an rfcn head has no features of a box to put beside others",
        ),
        (
            len(config.test.scales) > 0 and min(config.test.scales) > 0,
            f"'test.scales': give at least one, all above 0; found {config.test.scales}",
        ),
        (
            config.model.locnet.decoding == "likelihood" or head.localisation in ("box", "in_out"),
            f"'model.locnet.decoding': threshold reads In-Out's probabilities, found 'model.head.localisation' {head.localisation}",
        ),
        (
            config.train.ema_decay < 1,
            f"'train.ema_decay': found {config.train.ema_decay}, allowed from 0 to below 1",
        ),
        (
            config.train.optimizer != "adamw" or not config.train.gradient_multipliers,
            "'train.gradient_multipliers': 'train.optimizer' adamw divides gradients by their own size, so that factors on them do nothing; leave one out",
        ),
        (
            0 < pretrain.min_crop_area <= 1,
            f"'pretrain.min_crop_area': found {pretrain.min_crop_area}, allowed above 0 up to 1",
        ),
        (
            pretrain.crop_size <= pretrain.test_resize,
            f"'pretrain.test_resize' {pretrain.test_resize} is below 'pretrain.crop_size' {pretrain.crop_size}: the middle would not fit",
        ),
        (
            pretrain.label_smoothing < 1,
            f"'pretrain.label_smoothing': found {pretrain.label_smoothing}, allowed from 0 to below 1",
        ),
        (len(pretrain.teacher_levels) > 0, "'pretrain.teacher_levels': name at least one map"),
        (len(config.eval.metrics) > 0, "'eval.metrics': found an empty list, name at least one"),
    ]
    return [message for fine, message in checks if not fine]
