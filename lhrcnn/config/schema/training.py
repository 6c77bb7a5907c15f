"""Options of `train` and `pretrain`."""

import dataclasses

from lhrcnn.config.schema.option import PRECISIONS, SOME, option, share


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Optimisation, schedule, logs and checkpoints."""

    seed: int = option(
        0,
        "of initial weights, order, augmentation and sampling; --seed overrides it",
        minimum=0,
        maximum=2**32 - 1,
    )
    stages: list[dict] = option(
        [],
        "alternating training: what each stage changes, {section.key: value}; start: pretrained "
        "in one: not from the weights of the stage before",
    )
    part: str = option(
        "all",
        "what learns, and has losses: both stages, or one of them with the backbone",
        ["all", "rpn", "head"],
    )
    init_from: str = option(
        "",
        "run directory or pretrained model whose weights a new run starts from, those of classes "
        "of equal name too; --init_from overrides it",
    )
    teacher: str = option(
        "",
        "run directory or pretrained model that knows these classes: its class probabilities of "
        "the proposals are learnt beside the ground truth (knowledge distillation); empty: none",
    )
    teacher_levels: list[str] = option(
        [],
        "maps, of the backbone or the pyramid, that are to become the teacher's of the same stride "
        "and channels",
    )
    teacher_maps_weight: float = option(
        10.0, "factor of the loss of these maps; large ones need clip_norm", minimum=0
    )
    teacher_class_weight: float = option(
        1.0, "factor of the loss of the teacher's class probabilities", minimum=0
    )
    batch_size: int = option(8, "images per step over all devices", minimum=1)
    epochs: int = option(12, "passes over the training images", minimum=1)
    max_steps: int = option(0, "stop after this many steps; 0: epochs decide", minimum=0)
    accumulate_steps: int = option(
        1,
        "parts in which a batch is worked through, one after the other, where it does not fit "
        "into memory; the update is that of the whole batch",
        minimum=1,
    )
    learning_rate: float = option(0.01, "peak learning rate at base_batch_size", minimum=0)
    base_batch_size: int = option(8, "batch size the learning rate is meant for", minimum=1)
    scale_learning_rate: bool = option(
        True, "multiply the learning rate by batch_size / base_batch_size"
    )
    schedule: str = option(
        "step",
        "step: times decay_factor at decay_epochs; cosine: to final_learning_rate",
        "lhrcnn.training:SCHEDULES",
    )
    decay_epochs: list[float] = option([8, 11], "epochs at which the step schedule decays")
    decay_factor: float = option(0.1, "factor of each decay", minimum=0)
    final_learning_rate: float = share(0.0, "end of the cosine, as a share of the peak")
    warmup_steps: int = option(500, "linear warm-up, in steps", minimum=0)
    warmup_factor: float = share(1 / 3, "share of the learning rate at step 0")
    optimizer: str = option(
        "sgd",
        "sgd: momentum with coupled L2; sgdw: tensorflow-addons' decoupled decay; adamw: Adam with "
        "that",
        "lhrcnn.training:OPTIMIZERS",
    )
    momentum: float = share(0.9, "of SGD")
    nesterov: bool = option(False, "Nesterov momentum")
    weight_decay: float = option(1e-4, "L2 of kernels; batch norm and biases have none", minimum=0)
    gradient_multipliers: dict[str, float] = option(
        {},
        "factor on the gradients of variables whose name starts with the key, e.g. "
        "{head/thin_map: 3}",
    )
    clip_norm: float = option(0.0, "largest global gradient norm; 0: no clipping", minimum=0)
    ema_decay: float = option(
        0.0,
        "decay of the weight average used for evaluation and export; 0: none",
        minimum=0,
        below=1,
    )
    precision: str = option("float32", "arithmetic of the network", PRECISIONS)
    log_every: int = option(20, "steps between log lines", minimum=1)
    checkpoint_every: int = option(
        500, "steps between checkpoints; one is also written after each epoch", minimum=1
    )
    keep_checkpoints: int = option(2, "newest checkpoints kept, beside the best", minimum=1)
    eval_every: int = option(
        1, "epochs between evaluations on the validation split; 0: only after the last", minimum=0
    )
    best_metric: str = option(
        "",
        "number of the validation that picks the best checkpoint, the higher the better, such as "
        "coco/AP50 or voc07/mAP; empty: coco/AP, or the main number of the first of eval.metrics",
    )
    patience: int = option(
        0,
        "validations in a row without a better best_metric after which a training ends, where "
        "there are some (part rpn has none); 0: none",
        minimum=0,
    )
    hours: float = option(
        0.0,
        "time after which a training ends, in all starts together; the last validation comes on "
        "top; 0: none",
        minimum=0,
    )
    num_images: int = option(
        6, "validation images drawn for TensorBoard at each evaluation", minimum=0
    )


@dataclasses.dataclass(frozen=True)
class PretrainConfig:
    """What `lhrcnn pretrain` does with a backbone. model.backbone and train apply as they do to a
    detector; of data, what says which images there are, flip, photometric, antialias, accurate_jpeg
    and repeat_below."""

    teacher: str = option(
        "",
        "backbone whose features, with its ImageNet weights, take the place of labels; empty: "
        "learn the classes of folders",
        "lhrcnn.weights.sources:KERAS_MODELS",
    )
    teacher_levels: list[str] = option(
        ["c3", "c4", "c5"],
        "maps of the backbone that are to predict the teacher's of the same stride",
        lengths=SOME,
    )
    crop_size: int = option(224, "side in px of the squares the network sees", minimum=1)
    test_resize: int = option(
        256, "short side in px of the images whose middle is tested", minimum=1
    )
    min_crop_area: float = option(
        0.08, "training: smallest share of an image's area that is cut out", above=0, maximum=1
    )
    label_smoothing: float = option(
        0.1, "share of the target spread over all classes", minimum=0, below=1
    )
