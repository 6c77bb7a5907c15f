"""Training from a config to a run directory; stopping anywhere and going on from the same step gives the same weights.

RUN_DIR holds config.yaml, classes.json, checkpoints/, tensorboard/ and metrics.jsonl. What a step does depends on its number alone
(order, augmentation, sampling, learning rate), so the step and the arrays of a checkpoint are the whole state.
"""

import contextlib
import dataclasses
import json
import pathlib

import numpy as np
import tensorflow as tf

from lhrcnn import config as configs
from lhrcnn.data.batches.pipeline import training_batches
from lhrcnn.data.batches.plan import BatchPlan
from lhrcnn.data.datasets import align_classes, open_dataset
from lhrcnn.data.faults import find_unreadable
from lhrcnn.distribution import strategy_for
from lhrcnn.errors import ConfigError, TrainingError
from lhrcnn.files import Output, check_writable, held
from lhrcnn.keras import keras
from lhrcnn.models.build import arithmetic, build_detector
from lhrcnn.models.heads import box_targets
from lhrcnn.runs import checkpoints, fine_tune, state
from lhrcnn.runs import resume as resuming
from lhrcnn.training import validation
from lhrcnn.training.callbacks import (
    FiniteLosses,
    Interrupted,
    PeriodicCheckpoint,
    Progress,
    StopOnSignal,
    step_of,
)
from lhrcnn.training.ema import WeightAverage
from lhrcnn.training.logs import DataClock, RunLog, environment
from lhrcnn.training.optimizers import build_optimizer, coupled_weight_decay
from lhrcnn.training.schedules import learning_rate
from lhrcnn.weights.backbone import load_backbone

BATCHES_TO_SEARCH = 8
FIT_STEPS = 1000  # short epochs share a call of `fit`: each costs seconds


def train(config, run_dir, resume="auto", strategy=None, init_from="", training_class=None):
    """Trains the Config's detector into run_dir and returns a summary dict; stages.train calls it for each of train.stages.

    resume: "auto" goes on from the newest checkpoint where there is one, "must" demands one, "never" refuses a run_dir that has some.
    strategy: a tf.distribute strategy; None: MirroredStrategy over all GPUs, or over one CPU.
    init_from: run directory whose weights a new run starts from; a run that goes on has its own.
    training_class: a subclass of Training that trains something else; None: Training.
    The summary has steps, total_steps, interrupted (by a signal, after saving), signalled (even at the very end), best_score and best_step
    (None without validation), and the paths run_dir, checkpoint and best_checkpoint (None when stopped before the first step).
    Raises ConfigError, DataError, CheckpointError, ValueError and, for a run_dir that is not writable or in which another process trains,
    OSError before any work, TrainingError and CheckpointError later."""
    check_writable(run_dir, "--run_dir")
    with held(run_dir, "--run_dir"):
        return _train(
            config, pathlib.Path(run_dir), resume, strategy, init_from, training_class or Training
        )


def _train(config, run_dir, resume, strategy, init_from, training_class):
    store = checkpoints.CheckpointStore(run_dir, config.train.keep_checkpoints)
    resumed = resuming.going_on(store, resume)
    if resumed:
        resuming.check_same_experiment(config, run_dir)
    strategy = strategy or strategy_for()
    if config.train.batch_size % (strategy.num_replicas_in_sync * config.train.accumulate_steps):
        raise ConfigError(
            f"'train.batch_size': {config.train.batch_size} images cannot be shared evenly by "
            f"{strategy.num_replicas_in_sync} devices in {config.train.accumulate_steps} parts; give a multiple"
        )
    training, held_out = training_class.open_datasets(config)
    arrays, meta = store.load("last") if resumed else (None, {"step": 0})
    if resumed:
        resuming.check_same_data(training, meta, run_dir)
    output = Output(run_dir, "--run_dir")
    output.overwrite = resumed or output.owns(
        "classes.json"
    )  # a run, though perhaps without a checkpoint yet
    output.check("classes.json", "metrics.jsonl")
    write_config(config, output)
    output.write(
        "classes.json",
        json.dumps(
            {"names": training.class_names, "category_ids": training.category_ids},
            indent=1,
            ensure_ascii=False,
        ),
    )
    run = training_class(config, run_dir, store, strategy, training, held_out, init_from)
    return run.train(arrays, meta["step"])


def write_config(config, output):
    """Writes config.yaml into the files.Output of a run, unless the file there says the same."""
    path = output.folder / "config.yaml"
    if not path.is_file() or configs.load(path) != config:
        output.write(path.name, configs.dump(config))


class Training:
    """A detector in training, with all that belongs to it.

    The training of another Trainable is a subclass with its own open_datasets, _plan, _model, _batches and _outcome."""

    def __init__(self, config, run_dir, store, strategy, training, held_out, init_from=""):
        self.init_from = init_from
        self.config, self.run_dir, self.store, self.strategy = config, run_dir, store, strategy
        self.training, self.held_out = training, held_out
        self.plan = self._plan()
        self.steps_per_epoch = self.plan.steps_per_epoch
        self.total_steps = config.train.epochs * self.steps_per_epoch
        if config.train.max_steps:
            self.total_steps = min(self.total_steps, config.train.max_steps)
        self.clock, self.stop, self.average, self.traces = DataClock(), StopOnSignal(), None, 0

    @staticmethod
    def open_datasets(config):
        """(training, validation or None) with the same classes in the same order, of which validation may lack some. An RPN alone detects
        nothing that could be scored."""
        if config.data.format == "folders":
            raise ConfigError(
                "'data.format': folders has no boxes, which a detector learns from; it is for `lhrcnn pretrain`"
            )
        if (
            config.model.head.target_statistics == "measured"
            and config.train.part != "rpn"
            and not config.data.proposals
        ):
            raise ConfigError(
                "'model.head.target_statistics': measured needs the proposals of 'data.proposals', as stages of part head "
                "have them; else set it to fixed"
            )
        training = open_dataset(config.data, config.data.train_split, training=True)
        if not config.data.val_split or config.train.part == "rpn":
            return training, None
        held_out = open_dataset(dataclasses.replace(config.data, classes=[]), config.data.val_split)
        return training, align_classes(held_out, training.class_names, training.category_ids)

    @property
    def step(self):
        """Steps done."""
        return step_of(self.model)

    def train(self, arrays, step):
        """Runs all steps and validations after `step`, from a checkpoint's arrays (None: from the start), until the end or a signal.

        Returns the summary."""
        if step >= self.total_steps and not self._validation_is_due(step):
            print(f"this run is complete: step {step} of {self.total_steps}", flush=True)
            return self._summary(step)
        self.log = RunLog(self.run_dir, step, keep_validation=self.store.metric(step) is not None)
        self._announce(step)
        self._build(arrays)
        self.callbacks, self.saved_step = self._callbacks(), step
        with self.stop:
            while not self.stop.requested:
                if self._validation_is_due(self.step):
                    self._validate()
                if self.step >= self.total_steps or self.stop.requested:
                    break
                self._fit_to(self._next_stop())
                self.save()
        self.log.close()
        return self._summary(self.step)

    def save(self):
        """Writes a checkpoint of the step done, unless that is where the last one was written."""
        step = self.step
        if step == self.saved_step:
            return
        arrays = {**state.model_arrays(self.model), **state.optimizer_arrays(self.model.optimizer)}
        if self.average:
            arrays.update(self.average.arrays())
        self.store.save(
            arrays,
            {
                "step": step,
                "epoch": step / self.steps_per_epoch,
                "seed": self.config.train.seed,
                "images": len(self.training.records),
                "tensorflow": tf.__version__,
                "proposals": self.training.proposals.fingerprint
                if self.training.proposals
                else None,
            },
        )
        self.saved_step = step

    def _plan(self):
        """The BatchPlan of the training images."""
        return BatchPlan(
            self.training, self.config.data, self.config.train.batch_size, self.config.train.seed
        )

    def _model(self, config):
        """The Trainable of a Config with the weights it starts from, not yet compiled."""
        detector = build_detector(config, self.training.num_classes)
        if config.model.backbone.weights:
            load_backbone(detector, config.model)
        return detector

    def _measure(self, detector):
        """Sets what a new detector knows of its training images from the start; one whose weights are in units of others keeps those."""
        head = self.config.model.head
        if head.target_statistics == "fixed" or self.config.train.part == "rpn":
            return
        targets = detector.head.targets
        if not targets.measured:
            before = targets.values()
            counts = box_targets.measure(self.training, targets, head.foreground_iou)
            print(f"box targets: measured over {counts.sum()} proposals", flush=True)
            if self.init_from and fine_tune.trained_a_head(self.init_from):
                fine_tune.rescale_outputs(detector, before)

    def _batches(self, start, stop):
        """tf.data.Dataset of the batches of the steps from start up to stop."""
        return training_batches(self.plan, self.config.data, start, stop)

    def _outcome(self):
        """The validation.Outcome of the weights that the model has now."""
        return validation.validate(self.model, self.held_out, self.config, self.strategy)

    def _announce(self, step):
        versions = environment(self.strategy)
        begun_from = {"init_from": str(self.init_from)} if self.init_from and not step else {}
        self.log.line(
            "start", step, step / self.steps_per_epoch, {"environment": versions, **begun_from}
        )
        print("environment: " + "  ".join(f"{name} {value}" for name, value in versions.items()))
        print(
            f"run directory: {self.run_dir}\nimages: {len(self.training.records)} for training, "
            f"{len(self.held_out.records) if self.held_out else 0} for validation, classes: {self.training.num_classes}\n"
            f"steps: {self.total_steps}, {self.steps_per_epoch} an epoch"
            + (f"; going on after step {step}" if step else ""),
            flush=True,
        )

    def _build(self, arrays):
        config, train = self.config, self.config.train
        if (
            arrays or self.init_from
        ):  # pretrained weights are in the checkpoint; their file may be gone
            backbone = dataclasses.replace(config.model.backbone, weights="")
            config = dataclasses.replace(
                config, model=dataclasses.replace(config.model, backbone=backbone)
            )
        keras.utils.set_random_seed(train.seed)
        with arithmetic(train.precision), self.strategy.scope():
            self.model = detector = self._model(config)
            if not arrays:
                if self.init_from:
                    print(
                        "\n".join(
                            fine_tune.init_from(detector, self.training.class_names, self.init_from)
                        ),
                        flush=True,
                    )
                self._measure(detector)
            variables = detector.trainable_variables
            loss_scale = state.saved_loss_scale(arrays or {})
            optimizer = build_optimizer(
                train,
                self.steps_per_epoch,
                self.total_steps,
                variables,
                detector.kernels,
                loss_scale,
            )
            if train.ema_decay:
                self.average = WeightAverage(
                    _named(detector, variables), train.ema_decay, optimizer.iterations
                )
            detector.compile(
                optimizer,
                weight_decay=coupled_weight_decay(train),
                gradient_multipliers=train.gradient_multipliers,
                ema=self.average,
                seed=train.seed,
                accumulate_steps=train.accumulate_steps,
            )
        if arrays:
            state.restore_model(detector, arrays, prefer_ema=False)
            state.restore_optimizer(optimizer, arrays)
        if self.average:
            self.average.restore(arrays or {})
        size = sum(int(tf.size(variable)) for variable in variables)
        print(
            f"{detector.name}: {config.model.backbone.name}, {len(variables)} trained variables with {size / 1e6:.2f} million numbers, "
            f"{len(detector.named_variables()) - len(variables)} others",
            flush=True,
        )

    def _callbacks(self):
        train = self.config.train
        schedule = learning_rate(train, self.steps_per_epoch, self.total_steps)
        progress = Progress(
            self.log,
            self.clock,
            schedule,
            train.batch_size,
            train.log_every,
            self.steps_per_epoch,
            self.total_steps,
        )
        return [
            FiniteLosses(self._paths_of_step, self.store),
            progress,
            PeriodicCheckpoint(self.save, train.checkpoint_every, self.steps_per_epoch),
            self.stop,
        ]

    def _next_stop(self):
        """The step of the next validation, or the last of an epoch before it, about FIT_STEPS ahead."""
        epoch, every = (
            self.step // self.steps_per_epoch,
            self.config.train.eval_every if self.held_out else 0,
        )
        stop = epoch + max(1, FIT_STEPS // self.steps_per_epoch)
        if every:
            stop = min(stop, (epoch // every + 1) * every)
        return min(stop * self.steps_per_epoch, self.total_steps)

    def _fit_to(self, stop_step):
        """Trains the steps that are missing to `stop_step`."""
        start, epoch = self.step, self.step // self.steps_per_epoch
        batches = self.clock.watch(self._batches(start, stop_step))
        try:
            self.model.fit(
                batches,
                initial_epoch=epoch,
                epochs=epoch + 1,
                steps_per_epoch=stop_step - start,
                verbose=0,
                callbacks=self.callbacks,
            )
        except tf.errors.OpError as error:
            raise self._explained(error) from error
        traces = self.model.train_function.experimental_get_tracing_count()
        if traces != self.traces:
            print(f"training graph traced {traces} time(s)", flush=True)
        self.traces = traces

    def _explained(self, error):
        """A TrainingError that names the unreadable image, or what ran out, or else repeats TensorFlow's words."""
        step = self.step
        records = {
            record.path: record
            for ahead in range(-1, BATCHES_TO_SEARCH)  # the step that failed may count as done
            if step + ahead >= 0
            for record in self._records_of_step(step + ahead)
        }
        unreadable = find_unreadable(list(records.values()))
        if unreadable:
            return TrainingError(
                f"step {step + 1}: images cannot be read:\n  "
                + "\n  ".join(unreadable)
                + "\nReplace them and resume, or set data.on_error=skip with another --run_dir"
            )
        if isinstance(error, tf.errors.ResourceExhaustedError):
            height, width = self.plan.batch(step).canvas
            return TrainingError(
                f"step {step + 1}: out of memory for {self.plan.batch_size} images of {height}x{width} px; "
                f"lower train.batch_size or the size of images ({error.message.splitlines()[0]})"
            )
        return TrainingError(f"step {step + 1}: TensorFlow stopped: {error.message}")

    def _records_of_step(self, step):
        return [self.training.records[index] for index in self.plan.batch(step).indices]

    def _paths_of_step(self, step):
        return [record.path for record in self._records_of_step(step)]

    def _validation_is_due(self, step):
        """After each eval_every-th epoch and after the last step, if the checkpoint of that step has no score yet."""
        every = self.config.train.eval_every
        epoch_end = every and step % (every * self.steps_per_epoch) == 0
        return bool(
            self.held_out
            and step
            and (epoch_end or step >= self.total_steps)
            and self.store.metric(step) is None
        )

    def _validate(self):
        step = self.step
        self.stop.nothing_unsaved = True
        try:
            with self.average.swapped() if self.average else contextlib.nullcontext():
                outcome = self._outcome()
        except Interrupted:
            return
        finally:
            self.stop.nothing_unsaved = False
        self.log.scalars("validation", step, step / self.steps_per_epoch, outcome.numbers)
        self.log.images(step, outcome.images)
        score = outcome.numbers[outcome.main]
        self.store.record_metric(step, score)
        best_step, best = self.store.best() or (step, score)
        shown = "  ".join(
            f"{key} {value:.3f}" for key, value in outcome.numbers.items() if np.isfinite(value)
        )
        print(
            f"validation after step {step}: {shown}; best {outcome.main} {best:.3f} at step {best_step}",
            flush=True,
        )
        if step >= self.total_steps and outcome.table:
            print(outcome.table, flush=True)

    def _summary(self, step):
        best, last = self.store.best(), self.store.path()
        interrupted = self.stop.requested and (
            step < self.total_steps or self._validation_is_due(step)
        )
        if interrupted:
            print(
                f"stopped after step {step} of {self.total_steps}; saved: {last or 'nothing yet'}. "
                "The same command with --resume=auto goes on from there",
                flush=True,
            )
        return {
            "steps": step,
            "total_steps": self.total_steps,
            "interrupted": interrupted,
            "signalled": self.stop.requested,
            "best_score": best and best[1],
            "best_step": best and best[0],
            "run_dir": str(self.run_dir),
            "checkpoint": last and str(last),
            "best_checkpoint": last and str(self.store.path("best") or last),
        }


def _named(detector, variables):
    chosen = {variable.ref() for variable in variables}
    return {
        name: variable
        for name, variable in detector.named_variables().items()
        if variable.ref() in chosen
    }
