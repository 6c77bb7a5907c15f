"""What options of different sections must have to do with each other."""

from lhrcnn.choices import resolve

POSITION_SENSITIVE = ("light", "rfcn")  # kinds of heads that pool by PSRoIAlign
MOST_BINS, MOST_SAMPLES = 32, 16  # along a side, of PSRoIAlign


def broken_rules(config):
    """A message for each rule between options that a Config breaks."""
    for broken in (_data, _backbone, _rpn, _head, _training, _pretraining, _testing):
        yield from broken(config)


def _data(config):
    data, joining = config.data, resolve("lhrcnn.data.transforms:joining")()
    if len(set(data.classes)) < len(data.classes):
        yield f"'data.classes': a class stands twice in {data.classes}"
    if data.proposals and {*joining} & {*data.transforms}:
        yield (
            "'data.transforms': boxes of 'data.proposals' cannot follow "
            f"{', '.join(joining)}; leave these out"
        )


def _backbone(config):
    backbone, fpn = config.model.backbone, config.model.fpn
    ends_at_c4 = resolve("lhrcnn.models.backbones:LAST_STAGES")
    if backbone.last_level != "c5" and (backbone.name not in ends_at_c4 or fpn.channels):
        yield (
            "'model.backbone.last_level': c4 is for backbones without a feature pyramid whose last "
            f"stage can run in the head: {', '.join(ends_at_c4)}"
        )


def _rpn(config):
    rpn = config.model.rpn
    if rpn.negative_iou > rpn.positive_iou:
        yield (
            f"'model.rpn.negative_iou' {rpn.negative_iou} is above 'model.rpn.positive_iou' "
            f"{rpn.positive_iou}"
        )
    if len(set(rpn.kernel_sizes)) < len(rpn.kernel_sizes):
        yield f"'model.rpn.kernel_sizes': give each once; found {rpn.kernel_sizes}"


def _head(config):
    head, locnet = config.model.head, config.model.locnet
    if head.kind == "stage5" and config.model.backbone.last_level != "c4":
        yield (
            "'model.head.kind' stage5 takes over the last stage of a backbone that ends at c4; "
            f"'model.backbone.last_level' is {config.model.backbone.last_level}"
        )
    if head.kind in POSITION_SENSITIVE:
        for name, most in (("sampling_ratio", MOST_SAMPLES), ("pool_size", MOST_BINS)):
            if not 1 <= getattr(head, name) <= most:
                yield (
                    f"'model.head.{name}': PSRoIAlign of a {head.kind} head takes 1 to {most} "
                    f"along a side, found {getattr(head, name)}"
                )
    if head.skip_channels and head.kind in POSITION_SENSITIVE:
        yield f"'model.head.skip_channels': a {head.kind} head pools from one map"
    if head.conv_layers and head.kind != "fc":
        yield f"'model.head.conv_layers': for an fc head, found 'model.head.kind' {head.kind}"
    if head.kind == "rfcn" and len(head.levels) != 1:
        yield f"'model.head.levels': an rfcn head reads one map, found {head.levels}"
    if head.background_iou_low >= head.foreground_iou:
        yield (
            f"'model.head.background_iou_low' {head.background_iou_low} is not below "
            f"'model.head.foreground_iou' {head.foreground_iou}: no proposal would be background"
        )
    if locnet.decoding != "likelihood" and (locnet.regressed_share or locnet.iou_power):
        yield (
            "'model.locnet.regressed_share' and 'model.locnet.iou_power': for boxes of the highest "
            "likelihood; set 'model.locnet.decoding' to likelihood"
        )
    if locnet.iou_power and head.localisation == "borders":
        yield (
            "'model.locnet.iou_power': reads the probabilities of what is inside, which "
            "'model.head.localisation' borders does not have"
        )
    if locnet.decoding != "likelihood" and head.localisation not in ("box", "in_out"):
        yield (
            "'model.locnet.decoding': threshold reads In-Out's probabilities, found "
            f"'model.head.localisation' {head.localisation}"
        )


def _training(config):
    train = config.train
    if train.patience and not (config.data.val_split and train.eval_every):
        yield (
            "'train.patience': needs validations to count; set 'data.val_split' and "
            "'train.eval_every'"
        )
    if train.teacher_levels and not train.teacher:
        yield "'train.teacher_levels': needs a teacher; set 'train.teacher'"
    if train.teacher and train.part == "rpn" and not train.teacher_levels:
        yield (
            "'train.teacher': an RPN alone has no class scores to learn from it; name maps in "
            "'train.teacher_levels'"
        )
    if train.optimizer == "adamw" and train.gradient_multipliers:
        yield (
            "'train.gradient_multipliers': 'train.optimizer' adamw divides gradients by their own "
            "size, so that factors on them do nothing; leave one out"
        )


def _pretraining(config):
    pretrain = config.pretrain
    if pretrain.crop_size > pretrain.test_resize:
        yield (
            f"'pretrain.test_resize' {pretrain.test_resize} is below 'pretrain.crop_size' "
            f"{pretrain.crop_size}: the middle would not fit"
        )


def _testing(config):
    test, head, metrics = config.test, config.model.head, config.eval.metrics
    merged = len(test.scales) > 1 and test.merge == "maxout"
    if merged and head.localisation != "box":
        yield (
            "'test.merge: maxout' merges the features of a box, which 'model.head.localisation' "
            f"{head.localisation} has none of; set test.merge=detections"
        )
    if head.kind == "rfcn" and (head.global_context or merged):
        yield (
            "'model.head.global_context' and 'test.merge: maxout': an rfcn head has no features "
            "of a box to put beside others"
        )
    best = config.train.best_metric
    metric, _, number = best.partition("/")
    if best and metric not in metrics:
        yield (
            f"'train.best_metric': found {best!r}, expected METRIC/NUMBER with a metric of "
            f"'eval.metrics': {', '.join(metrics)}"
        )
    known = (
        resolve("lhrcnn.evaluation.metrics:METRICS")[metric].numbers if metric in metrics else ()
    )
    if known and number not in known:
        yield (
            f"'train.best_metric': found {best!r}; {metric} has the numbers "
            f"{', '.join(f'{metric}/{name}' for name in known)}"
        )
