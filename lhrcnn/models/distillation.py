"""Knowledge distillation: what a detector learns from another one, besides the ground truth.

Shape letters: B images, N proposals, K foreground classes, C channels.
"""

import tensorflow as tf

from lhrcnn import boxes as box_ops
from lhrcnn.errors import ConfigError
from lhrcnn.models.losses import LossSum

LEAST_PROBABILITY = 1e-6


class Teacher:
    """A trained detector that stays as it is, and the losses of one that follows it on the same
    images."""

    def __init__(self, detector, classes, config, student):
        """`detector` is the trained TwoStageDetector and `student` the one that learns from it;
        `classes` the teacher's number of each of the student's classes; of a TrainConfig it takes
        what teacher_levels and the weights of the losses are.

        Raises ConfigError where the teacher has no such map of as many channels."""
        self.detector, self.classes = detector, tf.constant(classes, tf.int32)
        self.weights = {
            "teacher_maps": config.teacher_maps_weight,
            "teacher_class": config.teacher_class_weight,
        }
        self.levels = {
            level: _same_map(level, student, detector) for level in config.teacher_levels
        }

    def losses(self, student, batch, maps, prepared=None, proposals=None):
        """{name: LossSum} of the maps of a student for a batch, and of the class scores of
        proposals [B, N, 4] px where there are some; `prepared` is what the student's head pools
        from.

        Before the weights, "teacher_maps" is the share of the variance of the teacher's maps that
        is missed, mean over maps and images (FitNets, arXiv 1412.6550, eq. 3, without a regressor
        between the two). "teacher_class" is the Kullback-Leibler divergence of the student's class
        probabilities from the teacher's (arXiv 1503.02531, section 2, at temperature 1), mean over
        proposals."""
        images = self.detector.preprocess(batch["image"], batch["image_size"])
        theirs, sums = self.detector.backbone(images, training=False), {}
        if self.levels:
            errors = [unexplained(maps[own], theirs[name]) for own, name in self.levels.items()]
            total = tf.reduce_sum(tf.add_n(errors)) / len(errors)
            sums["teacher_maps"] = LossSum(total, tf.cast(tf.shape(images)[0], tf.float32))
        if proposals is not None:
            size = batch["image_size"]
            _, wanted = self.detector.head.localise(
                self.detector.head.prepare(theirs, size), proposals, size
            )
            _, scores = student.head.localise(prepared, proposals, size)
            wanted = tf.stop_gradient(tf.gather(wanted, self.classes, axis=-1))
            valid = tf.cast(box_ops.area(proposals) > 0, tf.float32)
            total = tf.reduce_sum(divergence(wanted, scores) * valid)
            sums["teacher_class"] = LossSum(total, tf.reduce_sum(valid))
        return {
            name: LossSum(loss.total * self.weights[name], loss.count)
            for name, loss in sums.items()
        }


def unexplained(maps, targets):
    """The squared error of maps [B, h, w, C] over the variance of targets [B, h, w, C] about the
    mean of each channel of an image, [B]."""
    maps, targets = tf.cast(maps, tf.float32), tf.stop_gradient(tf.cast(targets, tf.float32))
    spread = targets - tf.reduce_mean(targets, [1, 2], keepdims=True)
    error, variance = (tf.reduce_sum(x**2, [1, 2, 3]) for x in (maps - targets, spread))
    return tf.math.divide_no_nan(error, variance)


def divergence(wanted, scores):
    """The Kullback-Leibler divergence [...] of class probabilities scores [..., K] from wanted
    [..., K]; what these lack to 1 is the background's."""
    wanted, scores = (
        tf.maximum(tf.concat([p, 1 - tf.reduce_sum(p, -1, keepdims=True)], -1), LEAST_PROBABILITY)
        for p in (wanted, scores)
    )
    return tf.reduce_sum(wanted * (tf.math.log(wanted) - tf.math.log(scores)), -1)


def _same_map(level, student, teacher):
    """The teacher's map of the stride and channels of a student's: of the same name where there are
    several."""
    if level not in student.strides:
        raise ConfigError(
            f"'train.teacher_levels': there is no map '{level}', only {', '.join(student.strides)}"
        )
    wanted = student.strides[level], student.backbone.output[level].shape[-1]
    maps = {
        name: (stride, teacher.backbone.output[name].shape[-1])
        for name, stride in teacher.strides.items()
    }
    same = [name for name, theirs in maps.items() if theirs == wanted]
    if not same:
        known = ", ".join(f"{name} ({c} channels, stride {s})" for name, (s, c) in maps.items())
        raise ConfigError(
            f"'train.teacher_levels': {level} has {wanted[1]} channels at a stride of {wanted[0]} "
            f"px; the teacher has no such map, only {known}; leave it out, or set "
            "'model.fpn.channels' to the teacher's"
        )
    return level if level in same else same[-1]
