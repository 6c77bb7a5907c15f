"""Pretraining of a backbone: the loop of a training with whole images instead of boxes."""

import functools

import tensorflow as tf

from lhrcnn.config import Config, flat
from lhrcnn.data.batches.crops import held_out_crops, plan_of, training_crops
from lhrcnn.data.datasets import align_classes, open_dataset
from lhrcnn.data.faults import find_unreadable
from lhrcnn.distribution import evenly_shared
from lhrcnn.errors import ConfigError, DataError, TrainingError
from lhrcnn.training import trainer
from lhrcnn.training.loop import TrainingLoop
from lhrcnn.training.pretrain_models import build_pretraining
from lhrcnn.training.validation import Outcome
from lhrcnn.workers import Workers, strategy_of_workers

# Options that say nothing here: one that is set was meant to do something.
NOT_HERE = {
    "train.stages": "a backbone is pretrained at once",
    "train.init_from": "a backbone starts from model.backbone.weights, or from the beginning",
    "train.teacher": "a backbone follows another's features by pretrain.teacher",
    "train.part": "a backbone is pretrained without RPN and head",
    "train.best_metric": "checkpoints of a pretraining are compared by top1, or by explained where "
    "there is a teacher",
    "data.transforms": "images are cropped (pretrain.min_crop_area), mirrored (data.flip) and "
    "changed in colour (data.photometric), and nothing else",
}


def pretrain(config, run_dir, resume="auto", strategy=None):
    """Pretrains the Config's backbone into run_dir, which then stands as model.backbone.weights of
    any detector with that backbone.

    Arguments, summary and errors as of `trainer.train`; the score is top-1, or the share of the
    teacher's variance explained."""
    found, usual = flat(config), flat(Config())
    for option, reason in NOT_HERE.items():
        if found[option] != usual[option]:
            raise ConfigError(
                f"'{option}': found {found[option]!r}; {reason}; set {option}={usual[option]}"
            )
    strategy = strategy or strategy_of_workers()
    Workers(strategy).require_one("pretraining is")
    return trainer.train(config, run_dir, resume, strategy, training_class=BackboneTraining)


class BackboneTraining(TrainingLoop):
    """A backbone in pretraining."""

    @staticmethod
    def open_datasets(config, drawn=()):
        """(training, validation or None); with a teacher any data set will do, else every image has
        a class."""
        data = config.data
        if config.pretrain.teacher:
            training, held_out = (
                open_dataset(data, split, held_out=drawn) if split else None
                for split in (data.train_split, data.val_split)
            )
            return training, held_out
        if data.format != "folders":
            raise ConfigError(
                f"'data.format': found {data.format}; classes of whole images come as folders "
                "(data.format=folders). To pretrain on other images, name a teacher: "
                "pretrain.teacher=mobilenet_v2"
            )
        training = _labelled(open_dataset(data, data.train_split), data.classes)
        if not data.val_split:
            return training, None
        held_out = _labelled(open_dataset(data, data.val_split), data.classes)
        unknown = [name for name in held_out.class_names if name not in training.class_names]
        if unknown:
            raise DataError(
                f"{held_out.name}: {len(unknown)} of its class folders are not in {training.name}: "
                f"{', '.join(unknown[:10])}; both need folders of the same names"
            )
        return training, align_classes(held_out, training.class_names, training.category_ids)

    def _plan(self):
        return plan_of(self.training, self.config)

    def _model(self, config):
        return build_pretraining(config, self.training.num_classes)

    def _batches(self, start, stop, *share):
        return training_crops(self.plan, self.config, start, stop)

    def _outcome(self):
        """Means over the held-out images."""
        sums, batch_size = {}, evenly_shared(self.config.eval.batch_size, self.strategy)
        batches = self.strategy.experimental_distribute_dataset(
            held_out_crops(self.held_out, self.config, batch_size)
        )
        try:
            for batch in batches:
                for name, value in self._totals(batch).items():
                    sums[name] = sums.get(name, 0.0) + float(value)
        except tf.errors.OpError as error:
            unreadable = find_unreadable(self.held_out.records)
            if not unreadable:
                raise
            raise TrainingError(
                "images of the validation split cannot be read:\n  "
                + "\n  ".join(unreadable[:10])
                + "\nReplace them and resume, or set data.on_error=skip with another --run_dir"
            ) from error
        images = sums.pop("images")
        return Outcome(self.model.main, {name: total / images for name, total in sums.items()})

    @functools.cached_property
    def _totals(self):
        """A graph function (batch) -> {name: sum over the images of all replicas}."""

        def on_replicas(batch):
            sums = self.strategy.run(self.model.totals, args=(batch,))
            return {
                name: self.strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None)
                for name, value in sums.items()
            }

        return tf.function(on_replicas)


def _labelled(dataset, chosen):
    """The Dataset without images of classes that are not `chosen`, where any are.

    Raises DataError unless each of the others is in a class folder, and each class has one."""
    if chosen:
        dataset.records = [record for record in dataset.records if len(record.classes)]
    outside = [record.path for record in dataset.records if not len(record.classes)]
    if outside:
        raise DataError(
            f"{outside[0]}: an image outside of class folders ({len(outside)} in all); "
            f"sort them as {dataset.name}/CLASS/image.jpg"
        )
    found = {int(record.classes[0]) for record in dataset.records}
    empty = [name for k, name in enumerate(dataset.class_names) if k not in found]
    if empty:
        raise DataError(
            f"{dataset.name}: {len(empty)} class folder(s) without an image: "
            f"{', '.join(empty[:10])}; put images there, or remove the folder"
        )
    return dataset
