"""Training a detector from a config to a run directory, which the same call goes on with."""

import contextlib
import dataclasses

from lhrcnn import config as configs
from lhrcnn.data.batches.pipeline import training_batches
from lhrcnn.data.batches.plan import BatchPlan
from lhrcnn.data.datasets import align_classes, open_dataset
from lhrcnn.errors import ConfigError, TrainingError
from lhrcnn.evaluation.proposals import LOOK_ONCE
from lhrcnn.files import check_writable, held
from lhrcnn.inference.predictor import load_run
from lhrcnn.models.build import build_detector
from lhrcnn.models.distillation import Teacher
from lhrcnn.models.heads import box_targets
from lhrcnn.runs import fine_tune, state, zoo
from lhrcnn.runs import resume as resuming
from lhrcnn.runs.backbone import load_backbone
from lhrcnn.runs.directory import RUN_FILES, RunDirectory, data_of
from lhrcnn.training import validation
from lhrcnn.training.callbacks import UserCallbacks
from lhrcnn.training.loop import TrainingLoop
from lhrcnn.workers import LOST, Workers, strategy_of_workers

# Where a machine has its copy of the data; workers may differ in these.
LOCAL = {"data.dir": "", "data.image_dir": "", "data.cache_dir": "", "data.workers": 0}


def train(config, run_dir, resume="auto", strategy=None, training_class=None, callbacks=()):
    """Trains the Config's detector into run_dir and returns a summary; `stages.train` calls it for
    each of train.stages.

    resume: "auto" goes on from the newest checkpoint where there is one, "must" demands one,
    "never" refuses a run_dir that has some. strategy: a tf.distribute strategy; None: that of
    `strategy_of_workers`. training_class: a TrainingLoop that trains something else. callbacks:
    Keras callbacks, see `UserCallbacks`.

    The summary is a dict with steps, total_steps, interrupted (by a signal, after saving),
    signalled (even at the very end), best_metric (its name), best_score and best_step (None
    without validation), and the paths run_dir, checkpoint and best_checkpoint (None when stopped
    before the first step). Raises, before any work, ConfigError, DataError, CheckpointError,
    TrainingError where the run is another one, and OutputError for a run_dir that is not writable,
    holds other files, or in which another process trains; later TrainingError and
    CheckpointError."""
    users = UserCallbacks(callbacks)
    run = RunDirectory(run_dir, keep_checkpoints=config.train.keep_checkpoints)
    workers = Workers(strategy or strategy_of_workers())
    with workers.one_voice(), contextlib.ExitStack() as stack:
        if workers.chief:
            run.check_start()
            check_writable(run, run.option)
            stack.enter_context(held(run, run.option))
        try:
            training = _prepared(config, run, resume, workers, training_class or DetectorTraining)
            summary = training.train(users)
        except LOST as error:
            raise TrainingError(workers.lost(error)) from error
        workers.part()
        return summary


def _prepared(config, run, resume, workers, training_class):
    """The Training of a run, with all that is checked before the work starts."""
    strategy, resumed = workers.strategy, resuming.going_on(run, resume)
    if resumed:
        resuming.check_same_experiment(config, run)
    parts = strategy.num_replicas_in_sync * config.train.accumulate_steps
    if config.train.batch_size % parts:
        raise ConfigError(
            f"'train.batch_size': {config.train.batch_size} images cannot be shared evenly by "
            f"{strategy.num_replicas_in_sync} devices in {config.train.accumulate_steps} parts; "
            "give a multiple"
        )
    with workers.chief_first():  # what is generated or downloaded is written by one
        if config.train.init_from and not resumed:
            zoo.find_run(config.train.init_from, RUN_FILES)
        if config.train.teacher:
            zoo.find_run(config.train.teacher, RUN_FILES)
        drawn = run.held_out if resumed else ()
        training, held_out = training_class.open_datasets(config, drawn)
    arrays, meta = run.checkpoints.load("last") if resumed else (None, {"step": 0})
    if resumed:
        resuming.check_same_data(training, meta, run)
    about = data_of(training)
    workers.check_same(
        {
            "a config": configs.dump(configs.changed(config, LOCAL)),
            "data": about["digest"],
            "a checkpoint": str(meta["step"]),
        }
    )
    if workers.chief:
        run.start(config, training.class_names, training.category_ids)
        run.write_data(about)
    return training_class(config, run, strategy, training, held_out, arrays, meta)


class DetectorTraining(TrainingLoop):
    """A detector in training."""

    @staticmethod
    def open_datasets(config, drawn=()):
        """(training, validation or None) with the same classes in the same order, of which
        validation may lack some. An RPN alone detects nothing that could be scored.

        drawn: names of the images that were drawn for validation when the run began."""
        data = config.data
        if data.format == "folders":
            raise ConfigError(
                "'data.format': folders has no boxes, which a detector learns from; it is for "
                "`lhrcnn pretrain`"
            )
        measured = config.model.head.target_statistics == "measured" and config.train.part != "rpn"
        if measured and not data.proposals:
            raise ConfigError(
                "'model.head.target_statistics': measured needs the proposals of 'data.proposals', "
                "as stages of part head have them; else set it to fixed"
            )
        training = open_dataset(data, data.train_split, training=True, held_out=drawn)
        if not data.val_split or config.train.part == "rpn":
            return training, None
        every_class = dataclasses.replace(data, classes=[])
        held_out = open_dataset(every_class, data.val_split, held_out=drawn)
        return training, align_classes(held_out, training.class_names, training.category_ids)

    def _plan(self):
        """The BatchPlan of the training images."""
        train = self.config.train
        return BatchPlan(self.training, self.config.data, train.batch_size, train.seed)

    def _model(self, config):
        """The Trainable of a Config with the weights it starts from, not yet compiled."""
        detector = build_detector(config, self.training.num_classes)
        if config.model.backbone.weights:
            load_backbone(detector, config.model)
        if config.train.teacher:
            detector.teacher = self._teacher(detector)
        return detector

    def _teacher(self, student):
        """The distillation.Teacher that train.teacher names."""
        train = self.config.train
        run = load_run(train.teacher, overrides=[*LOOK_ONCE, f"test.precision={train.precision}"])
        unknown = [name for name in self.training.class_names if name not in run.class_names]
        if unknown:
            raise ConfigError(
                f"'train.teacher': {train.teacher} does not know {', '.join(unknown)}, only "
                f"{', '.join(run.class_names)}"
            )
        digest = state.digest_of(run.model.named_variables())
        if self.teacher not in (None, digest):
            raise TrainingError(
                f"{self.run}: the run learns from {train.teacher}, whose weights are others now, "
                "so it cannot go on as it began; restore them, or give another --run_dir"
            )
        self.teacher = digest
        classes = [run.class_names.index(name) for name in self.training.class_names]
        return Teacher(run.model, classes, train, student)

    def _begin(self, detector):
        """Sets what a new detector's box targets are normalised by, where that is measured.

        Targets that came with weights of another run keep the units of those weights."""
        head = self.config.model.head
        if head.target_statistics == "fixed" or self.config.train.part == "rpn":
            return
        targets = detector.head.targets
        if not targets.measured:
            before = targets.values()
            counts = box_targets.measure(self.training, targets, head.foreground_iou)
            print(f"box targets: measured over {counts.sum()} proposals", flush=True)
            start = self.config.train.init_from
            if start and fine_tune.trained_a_head(start):
                fine_tune.rescale_outputs(detector, before)

    def _batches(self, start, stop, *share):
        """tf.data.Dataset of the batches of the steps from start up to stop; share: (which worker,
        of how many) it is for."""
        return training_batches(self.plan, self.config.data, start, stop, *share)

    def _outcome(self):
        """The validation.Outcome of the weights that the model has now."""
        return validation.validate(self.model, self.held_out, self.config, self.strategy)
