"""lhrcnn.models.distillation against written-out formulas, and what a detector makes of it."""

import numpy as np
import pytest
import tensorflow as tf

from lhrcnn.config import TrainConfig
from lhrcnn.errors import ConfigError
from lhrcnn.keras import keras
from lhrcnn.models.build import build_detector
from lhrcnn.models.distillation import Teacher, divergence, unexplained

LIGHT = (
    "model.fpn.channels=8",
    "model.fpn.levels=[c3,c4,c5]",
    "model.rpn.levels=[p4]",
    "model.head.levels=[p4]",
)


def detector(config, num_classes=3, seed=0, **options):
    keras.utils.set_random_seed(seed)
    built = build_detector(config, num_classes)
    built.compile(keras.optimizers.SGD(0.02, momentum=0.9), **options)
    return built


def train(*levels, **weights):
    """The TrainConfig of a student."""
    return TrainConfig(teacher="run", teacher_levels=list(levels), **weights)


def test_maps_are_told_by_the_variance_that_they_miss(rng):
    maps, targets = rng.normal(size=(2, 3, 4, 5, 6)).astype(np.float32)
    targets += 10 * np.arange(6, dtype=np.float32)  # the means of channels are no variance
    wanted = []
    for own, theirs in zip(maps, targets):
        spread = sum(((theirs[..., c] - theirs[..., c].mean()) ** 2).sum() for c in range(6))
        wanted.append(((own - theirs) ** 2).sum() / spread)
    np.testing.assert_allclose(unexplained(maps, targets), wanted, rtol=1e-5)
    np.testing.assert_allclose(unexplained(targets, targets), 0)
    means = np.broadcast_to(targets.mean((1, 2), keepdims=True), targets.shape)
    np.testing.assert_allclose(unexplained(means, targets), 1, rtol=1e-5)
    np.testing.assert_array_equal(unexplained(maps, tf.ones_like(targets)), 0)  # nothing to learn


def test_divergence_counts_the_background(rng):
    wanted, scores = rng.dirichlet(np.ones(4), size=(2, 5)).astype(np.float32)
    expected = [sum(w * np.log(w / s) for w, s in zip(*pair)) for pair in zip(wanted, scores)]
    np.testing.assert_allclose(divergence(wanted[:, :3], scores[:, :3]), expected, rtol=1e-3)
    np.testing.assert_allclose(divergence(wanted[:, :3], wanted[:, :3]), 0, atol=1e-6)
    sure, never = tf.constant([[1.0, 0.0]]), tf.constant([[0.0, 0.0]])
    np.testing.assert_allclose(divergence(sure, never), [np.log(1e6)], rtol=1e-3)


@pytest.mark.parametrize("localisation", ["box", "in_out"])
def test_a_detector_has_nothing_to_learn_from_itself(small_config, random_batch, localisation):
    config = small_config(*LIGHT, f"model.head.localisation={localisation}")
    student, batch = detector(config), random_batch()
    student.teacher = Teacher(detector(config), [0, 1, 2], train("p4"), student)
    sums, _ = student.sums_of(batch, training=False, step=0)
    for name in ("teacher_maps", "teacher_class"):
        np.testing.assert_allclose(sums[name].total, 0, atol=1e-5)
        assert sums[name].count > 0


def test_losses_are_weighed(small_config, random_batch):
    config, batch, found = small_config(*LIGHT), random_batch(), []
    student, other = detector(config), detector(config, seed=1)
    other.head.class_scores.bias.assign([2, 0, 0, 0])
    for maps, of_class in ((1, 1), (40, 3)):
        weights = {"teacher_maps_weight": maps, "teacher_class_weight": of_class}
        student.teacher = Teacher(other, [0, 1, 2], train("p4", **weights), student)
        sums, _ = student.sums_of(batch, training=False, step=0)
        found.append([sums[name].total for name in ("teacher_maps", "teacher_class")])
    np.testing.assert_allclose(np.divide(*found[::-1]), [40, 3], rtol=1e-5)


def test_classes_are_those_of_the_same_name(small_config, random_batch):
    """A teacher that knows one class more, in another order."""
    config, batch = small_config(*LIGHT), random_batch()
    student, other = detector(config), detector(config, 4, seed=1)
    student.head.class_scores.bias.assign([2, 0, 0, 0])
    values = {name: variable.numpy() for name, variable in student.named_variables().items()}
    for name, variable in other.named_variables().items():
        value = values[name]
        if name.startswith("head/class_scores"):
            never = np.full((*value.shape[:-1], 1), 0 if value.ndim > 1 else -50, np.float32)
            value = np.concatenate([value[..., [2, 0]], never, value[..., [1, 3]]], -1)
        if variable.shape == value.shape:
            variable.assign(value)
    for order, right in (([1, 3, 0], True), ([0, 1, 3], False)):
        student.teacher = Teacher(other, order, train(), student)
        sums, _ = student.sums_of(batch, training=False, step=0)
        assert "teacher_maps" not in sums
        assert (float(sums["teacher_class"].total) < 1e-5) == right


def test_the_teacher_stays_as_it_is_while_the_student_comes_nearer(small_config, random_batch):
    config, batch = small_config(*LIGHT, "model.backbone.batch_norm=frozen"), random_batch()
    student, other = detector(config), detector(config, seed=1)
    other.head.class_scores.bias.assign([2, 0, 0, 0])
    before = {name: variable.numpy() for name, variable in other.named_variables().items()}
    trained = len(student.trainable_variables)
    options = train("p4", teacher_maps_weight=1)
    student.teacher = Teacher(other, [0, 1, 2], options, student)
    assert len(student.trainable_variables) == trained
    assert len(student.named_variables()) == len(before)
    first = student.test_step(batch)
    student.fit(tf.data.Dataset.from_tensors(batch).repeat(30), verbose=0)
    last = student.test_step(batch)
    assert last["teacher_maps"] < 0.9 * first["teacher_maps"]
    assert last["teacher_class"] < first["teacher_class"]
    for name, variable in other.named_variables().items():
        np.testing.assert_array_equal(variable, before[name])


def test_parts_of_a_batch_and_the_whole_learn_the_same(small_config, random_batch):
    config, batch = small_config(*LIGHT, "model.backbone.batch_norm=frozen"), random_batch()
    results = []
    for parts in (1, 2):
        student = detector(config, accumulate_steps=parts)
        student.teacher = Teacher(detector(config, seed=1), [0, 1, 2], train("p4"), student)
        losses = student.train_step(batch)
        results.append([losses["teacher_maps"], losses["teacher_class"], student.rpn.weights[0]])
    for whole, in_parts in zip(*results):
        np.testing.assert_allclose(whole, in_parts, rtol=1e-4, atol=1e-6)


def test_maps_that_the_teacher_does_not_have_are_named(small_config):
    student, other = (
        detector(small_config(*LIGHT, f"model.fpn.channels={channels}")) for channels in (8, 4)
    )
    message = (
        r"'train.teacher_levels': p4 has 8 channels at a stride of 16 px; the teacher has no such "
        r"map, only .*p4 \(4 channels, stride 16\)"
    )
    with pytest.raises(ConfigError, match=message):
        Teacher(other, [0, 1, 2], train("p4"), student)
    with pytest.raises(ConfigError, match="there is no map 'p9', only c3, "):
        Teacher(other, [0, 1, 2], train("p9"), student)
