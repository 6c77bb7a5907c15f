"""What is trained in pretraining: a backbone with a classifier, or with a teacher to follow."""

import tensorflow as tf

from lhrcnn.autograph import without_autograph
from lhrcnn.config import BackboneConfig, ModelConfig
from lhrcnn.errors import ConfigError
from lhrcnn.keras import keras
from lhrcnn.models.build import build_backbone
from lhrcnn.models.losses import LossSum, cross_entropy
from lhrcnn.models.step import Trainable
from lhrcnn.runs.backbone import load_backbone


class Pretraining(Trainable):
    """A backbone and what judges it; its variables have the names that they have in a detector.

    A subclass has `main`, the name of the score that is to be high, and `compare(batch, training)`,
    ({name: loss [B]}, {name: score [B]}) of the images of a batch."""

    def __init__(self, name, backbone, network, kept=()):
        """`network` is the Keras model around the Backbone that is trained; `kept` are layers
        outside it whose variables are stored."""
        super().__init__(name=name)
        self.backbone, self.network, self.kept = backbone, network, kept

    def named_variables(self):
        """{name: variable} of everything that is stored."""
        names = self.backbone.named_variables()
        known = {variable.ref() for variable in names.values()}
        layers = (self.network, *self.kept)
        others = [variable for layer in layers for variable in layer.weights]
        new = [variable for variable in others if variable.ref() not in known]
        return {**names, **{variable.name.split(":")[0]: variable for variable in new}}

    def sums_of(self, batch, training, step, part=0, parts=1):
        """({name: LossSum}, {}) of one part of this replica's batch."""
        del step, part, parts
        losses, _ = self.compare(batch, training)
        size = tf.cast(tf.shape(batch["image"])[0], tf.float32)
        return {name: LossSum(tf.reduce_sum(values), size) for name, values in losses.items()}, {}

    @without_autograph
    def totals(self, batch):
        """{name: sum} of scores and losses over the images of a held-out batch, and their number
        as "images"."""
        losses, scores = self.compare(batch, training=False)
        real = tf.cast(batch["label"] >= 0, tf.float32)
        values = {**scores, **losses, "images": tf.ones_like(real)}
        return {name: tf.reduce_sum(value * real) for name, value in values.items()}


class Classification(Pretraining):
    """A backbone that learns the classes of whole images."""

    main = "top1"

    def __init__(self, config, num_classes):
        """Of a Config, for K classes."""
        backbone = _trained_backbone(config)
        super().__init__("classification", backbone, classifier(backbone, num_classes))
        self.label_smoothing = config.pretrain.label_smoothing

    def compare(self, batch, training):
        """Cross-entropy "class", and whether the label has the highest score ("top1") or one of the
        five highest ("top5")."""
        logits = self.network(_normalised(batch["image"], self.backbone), training=training)
        labels = tf.maximum(batch["label"], 0)
        scores = {
            f"top{k}": tf.cast(tf.math.in_top_k(labels, logits, k), tf.float32) for k in (1, 5)
        }
        return {"class": cross_entropy(logits, labels, self.label_smoothing)}, scores


class Distillation(Pretraining):
    """A backbone that learns the maps of another, the teacher, which has ImageNet weights and stays
    as it is.

    From a map of the backbone a 1x1 convolution predicts the teacher's of the same stride (FitNets,
    arXiv 1412.6550, section 2.2), whose channels are brought to mean 0 and variance 1 first, as
    batch norm does it. The squared error is then the share of the teacher's variance that is not
    explained."""

    main = "explained"

    def __init__(self, config):
        """Of a Config. Raises ConfigError for a level that is not there, and FileNotFoundError
        without the teacher's weights."""
        backbone, teacher = _trained_backbone(config), _teacher(config)
        pairs = {
            level: _level_of_stride(level, backbone, teacher, config.pretrain.teacher)
            for level in config.pretrain.teacher_levels
        }
        maps, theirs = backbone.model.output, teacher.model.output
        predicted, standardise, targets = {}, [], {}
        for level, name in pairs.items():
            channels = theirs[name].shape[-1]
            convolution = keras.layers.Conv2D(channels, 1, dtype="float32", name=f"match_{level}")
            predicted[level] = convolution(maps[level])
            norm = keras.layers.BatchNormalization(
                momentum=0.97, center=False, scale=False, dtype="float32", name=f"teacher_{level}"
            )
            targets[level] = norm(theirs[name])
            standardise.append(norm)
        network = keras.Model(backbone.model.input, predicted)
        super().__init__("distillation", backbone, network, standardise)
        teacher.model.trainable = False
        self.teacher = teacher
        self.targets = keras.Model(teacher.model.input, targets)

    def compare(self, batch, training):
        """The mean squared error of each level, and the share of the variance that they explain on
        average, "explained"."""
        predicted = self.network(_normalised(batch["image"], self.backbone), training=training)
        targets = self.targets(_normalised(batch["image"], self.teacher), training=training)
        errors = {
            level: tf.reduce_mean((maps - targets[level]) ** 2, axis=[1, 2, 3])
            for level, maps in predicted.items()
        }
        losses = {f"match_{level}": error for level, error in errors.items()}
        return losses, {"explained": 1 - tf.add_n(list(errors.values())) / len(errors)}


@without_autograph
def build_pretraining(config, num_classes):
    """The Pretraining that a Config asks for; call it inside a distribution strategy's scope.
    Errors as of the two classes."""
    return Distillation(config) if config.pretrain.teacher else Classification(config, num_classes)


@without_autograph
def classifier(backbone, num_classes):
    """The Keras model images [B, S, S, 3] -> logits [B, K]: average pooling of a Backbone's last
    map and a dense layer."""
    last = backbone.model.output[list(backbone.strides)[-1]]
    # In 32 bits: on CPUs the sum of a map in 16 bits stays where a cell no longer adds to it.
    x = keras.layers.GlobalAveragePooling2D(name="pool", dtype="float32")(last)
    logits = keras.layers.Dense(num_classes, dtype="float32", name="classifier")(x)
    return keras.Model(backbone.model.input, logits)


def _trained_backbone(config):
    """The Backbone of a Config with the weights it starts from."""
    backbone = build_backbone(config.model.backbone)
    backbone.freeze(config.model.backbone.frozen_stages)
    if config.model.backbone.weights:
        load_backbone(backbone, config.model)
    return backbone


def _teacher(config):
    options = BackboneConfig(
        name=config.pretrain.teacher,
        weights="imagenet",
        batch_norm="frozen",
        out_stride=config.model.backbone.out_stride,
    )
    teacher = build_backbone(options)
    load_backbone(teacher, ModelConfig(backbone=options))
    return teacher


def _level_of_stride(level, backbone, teacher, teacher_name):
    """The teacher's map of the stride of a backbone's map: of the same name where there are
    several."""
    if level not in backbone.strides:
        raise ConfigError(
            f"'pretrain.teacher_levels': the backbone has no map '{level}', only "
            f"{', '.join(backbone.strides)}"
        )
    stride = backbone.strides[level]
    same = [name for name, theirs in teacher.strides.items() if theirs == stride]
    if not same:
        known = ", ".join(f"{name} of {theirs}" for name, theirs in teacher.strides.items())
        raise ConfigError(
            f"'pretrain.teacher_levels': {teacher_name} has no map of stride {stride} px for "
            f"'{level}', only {known}"
        )
    return level if level in same else same[-1]


def _normalised(image, backbone):
    """float32 images of uint8 ones, as a Backbone takes them."""
    mean, std = tf.constant(backbone.pixel_mean), tf.constant(backbone.pixel_std)
    return (tf.cast(image, tf.float32) - mean) / std
