"""What options of different sections must have to do with each other."""

from lhrcnn.choices import resolve

POSITION_SENSITIVE = ("light", "rfcn")  # kinds of heads that pool by PSRoIAlign


def broken_rules(config):
    """A message for each rule between options that a Config breaks."""
    for rules in (_data, _backbone, _rpn, _head, _training, _pretraining, _testing):
        yield from (message for fine, message in rules(config) if not fine)


def _data(config):
    data, joining = config.data, resolve("lhrcnn.data.transforms:joining")()
    yield len(data.short_side) > 0, "'data.short_side': found an empty list, give at least one px"
    yield (
        len(data.stretch_size) == 2,
        f"'data.stretch_size': expected [height, width], found {data.stretch_size}",
    )
    yield (
        len(data.aspect_groups) > 0 and min(data.aspect_groups) >= 1,
        f"'data.aspect_groups': ratios are long/short, at least 1; found {data.aspect_groups}",
    )
    yield (
        len(set(data.classes)) == len(data.classes),
        f"'data.classes': a class stands twice in {data.classes}",
    )
    yield (
        not data.proposals or not {*joining} & {*data.transforms},
        f"'data.transforms': boxes of 'data.proposals' cannot follow {', '.join(joining)}; leave "
        "these out",
    )
    yield (
        0 < data.min_crop <= 1,
        f"'data.min_crop': found {data.min_crop}, allowed above 0 up to 1",
    )


def _backbone(config):
    backbone, fpn = config.model.backbone, config.model.fpn
    ends_at_c4 = resolve("lhrcnn.models.backbones:LAST_STAGES")
    yield (
        backbone.last_level == "c5" or (backbone.name in ends_at_c4 and not fpn.channels),
        "'model.backbone.last_level': c4 is for backbones without a feature pyramid whose last "
        f"stage can run in the head: {', '.join(ends_at_c4)}",
    )
    yield (
        len(backbone.pixel_mean) in (0, 3)
        and len(backbone.pixel_std) in (0, 3)
        and min(backbone.pixel_std, default=1) > 0,
        "'model.backbone.pixel_mean' and 'pixel_std': expected 3 numbers (RGB) or none, deviations "
        "above 0",
    )


def _rpn(config):
    rpn = config.model.rpn
    yield (
        rpn.negative_iou <= rpn.positive_iou,
        f"'model.rpn.negative_iou' {rpn.negative_iou} is above 'model.rpn.positive_iou' "
        f"{rpn.positive_iou}",
    )
    yield rpn.positive_iou > 0, _all_foreground("model.rpn.positive_iou")
    yield (
        len(rpn.anchor_scales) > 0
        and len(rpn.anchor_ratios) > 0
        and min(rpn.anchor_scales + rpn.anchor_ratios) > 0,
        "'model.rpn.anchor_scales' and 'anchor_ratios': give at least one each, all above 0",
    )
    yield (
        len(rpn.kernel_sizes) > 0 and len(set(rpn.kernel_sizes)) == len(rpn.kernel_sizes),
        f"'model.rpn.kernel_sizes': give at least one, each once; found {rpn.kernel_sizes}",
    )
    yield len(rpn.levels) > 0, "'model.rpn.levels': found an empty list, name at least one map"


def _head(config):
    head = config.model.head
    yield len(head.levels) > 0, "'model.head.levels': found an empty list, name at least one map"
    yield (
        head.kind != "stage5" or config.model.backbone.last_level == "c4",
        "'model.head.kind' stage5 takes over the last stage of a backbone that ends at c4; "
        f"'model.backbone.last_level' is {config.model.backbone.last_level}",
    )
    yield (
        head.sampling_ratio > 0 or head.kind not in POSITION_SENSITIVE,
        f"'model.head.sampling_ratio': PSRoIAlign of a {head.kind} head takes at least 1 sample "
        "per side, found 0",
    )
    yield (
        not head.skip_channels or head.kind not in POSITION_SENSITIVE,
        f"'model.head.skip_channels': a {head.kind} head pools from one map",
    )
    yield (
        not head.conv_layers or head.kind == "fc",
        f"'model.head.conv_layers': for an fc head, found 'model.head.kind' {head.kind}",
    )
    yield (
        head.kind != "rfcn" or len(head.levels) == 1,
        f"'model.head.levels': an rfcn head reads one map, found {head.levels}",
    )
    yield (
        len(head.target_std) == 4 and min(head.target_std) > 0,
        f"'model.head.target_std': expected 4 numbers above 0, found {head.target_std}",
    )
    yield head.foreground_iou > 0, _all_foreground("model.head.foreground_iou")
    yield config.model.locnet.foreground_iou > 0, _all_foreground("model.locnet.foreground_iou")
    yield (
        head.background_iou_low < head.foreground_iou,
        f"'model.head.background_iou_low' {head.background_iou_low} is not below "
        f"'model.head.foreground_iou' {head.foreground_iou}: no proposal would be background",
    )
    yield (
        head.label_smoothing < 1,
        f"'model.head.label_smoothing': found {head.label_smoothing}, allowed from 0 to below 1",
    )
    yield (
        config.model.locnet.decoding == "likelihood" or head.localisation in ("box", "in_out"),
        "'model.locnet.decoding': threshold reads In-Out's probabilities, found "
        f"'model.head.localisation' {head.localisation}",
    )


def _all_foreground(option):
    return f"'{option}': found 0, where all is foreground, in images without objects too; give more"


def _training(config):
    train = config.train
    yield (
        train.ema_decay < 1,
        f"'train.ema_decay': found {train.ema_decay}, allowed from 0 to below 1",
    )
    yield (
        not train.patience or (config.data.val_split and train.eval_every),
        "'train.patience': needs validations to count; set 'data.val_split' and 'train.eval_every'",
    )
    yield (
        train.optimizer != "adamw" or not train.gradient_multipliers,
        "'train.gradient_multipliers': 'train.optimizer' adamw divides gradients by their own "
        "size, so that factors on them do nothing; leave one out",
    )


def _pretraining(config):
    pretrain = config.pretrain
    yield (
        0 < pretrain.min_crop_area <= 1,
        f"'pretrain.min_crop_area': found {pretrain.min_crop_area}, allowed above 0 up to 1",
    )
    yield (
        pretrain.crop_size <= pretrain.test_resize,
        f"'pretrain.test_resize' {pretrain.test_resize} is below 'pretrain.crop_size' "
        f"{pretrain.crop_size}: the middle would not fit",
    )
    yield (
        pretrain.label_smoothing < 1,
        f"'pretrain.label_smoothing': found {pretrain.label_smoothing}, allowed from 0 to below 1",
    )
    yield len(pretrain.teacher_levels) > 0, "'pretrain.teacher_levels': name at least one map"


def _testing(config):
    test, head = config.test, config.model.head
    merged = len(test.scales) > 1 and test.merge == "maxout"
    yield (
        head.localisation == "box" or not merged,
        "'test.merge: maxout' merges the features of a box, which 'model.head.localisation' "
        f"{head.localisation} has none of; set test.merge=detections",
    )
    yield (
        head.kind != "rfcn" or not (head.global_context or merged),
        "'model.head.global_context' and 'test.merge: maxout': an rfcn head has no features of a "
        "box to put beside others",
    )
    yield (
        len(test.scales) > 0 and min(test.scales) > 0,
        f"'test.scales': give at least one, all above 0; found {test.scales}",
    )
    best, metrics = config.train.best_metric, config.eval.metrics
    yield (
        not best or best.partition("/")[0] in metrics,
        f"'train.best_metric': found {best!r}, expected METRIC/NUMBER with a metric of "
        f"'eval.metrics': {', '.join(metrics)}",
    )
    yield len(config.eval.metrics) > 0, "'eval.metrics': found an empty list, name at least one"
