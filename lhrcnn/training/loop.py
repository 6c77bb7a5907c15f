"""The loop of a training: steps, checkpoints and validations, whatever is trained.

What a step does depends on its number alone (order, augmentation, sampling, learning rate), so the
step and the arrays of a checkpoint are the whole state: stopping anywhere and going on gives the
same weights.
"""

import contextlib

import numpy as np
import tensorflow as tf

from lhrcnn import config as configs
from lhrcnn.keras import keras
from lhrcnn.models.build import arithmetic
from lhrcnn.runs import fine_tune, state
from lhrcnn.training import memory
from lhrcnn.training.callbacks import (
    FiniteLosses,
    Interrupted,
    PeriodicCheckpoint,
    Progress,
    StopOnSignal,
    step_of,
)
from lhrcnn.training.ema import WeightAverage
from lhrcnn.training.failures import explained
from lhrcnn.training.limits import Limits
from lhrcnn.training.logs import DataClock, NoLog, RunLog, environment
from lhrcnn.training.optimizers import build_optimizer, coupled_weight_decay
from lhrcnn.training.schedules import WarmupSchedule
from lhrcnn.workers import LOST, Workers

FIT_STEPS = 1000  # short epochs share a call of `fit`: each costs seconds


class TrainingLoop:
    """A Trainable in training, with all that belongs to it.

    A subclass says what is trained: `open_datasets(config, drawn)` returns (training, validation or
    None), `_plan()` the BatchPlan of the training images, `_model(config)` the Trainable with the
    weights it starts from, not yet compiled, `_batches(start, stop, worker, workers)` the
    tf.data.Dataset of a worker's share of the steps, `_outcome()` the validation.Outcome of the
    weights that the model has now."""

    def __init__(self, config, run, strategy, training, held_out, arrays, meta):
        """`arrays` and `meta` of a checkpoint; None and {"step": 0}: from the start."""
        self.config, self.run, self.store, self.strategy = config, run, run.checkpoints, strategy
        self.training, self.held_out = training, held_out
        self.arrays, self.start = arrays, meta["step"]
        self.teacher = meta.get("teacher")  # digest of its weights
        self.plan = self._plan()
        self.steps_per_epoch = self.plan.steps_per_epoch
        steps = config.train.epochs * self.steps_per_epoch
        self.total_steps = min(steps, config.train.max_steps or steps)
        self.workers = Workers(strategy)
        self.stop = StopOnSignal(self.workers)
        eval_steps = max(config.train.eval_every, 1) * self.steps_per_epoch
        spent_s = meta.get("seconds", 0.0)
        self.limits = Limits(config.train, self.store, self.workers, eval_steps, spent_s)
        self.clock, self.average, self.users, self.traces = DataClock(), None, None, 0

    @property
    def step(self):
        """Steps done."""
        return step_of(self.model)

    def train(self, users):
        """Runs all steps and validations that are missing, until the end, a signal, or until one of
        the UserCallbacks stops it. Returns the summary."""
        step = self.start
        self.total_steps = self.limits.last_step(step, self.total_steps)
        if step >= self.total_steps and not self._validation_is_due(step):
            print(f"this run is complete: step {step} of {self.total_steps}", flush=True)
            return self._summary(step)
        keep_validation = self.store.metric(step) is not None
        self.log = RunLog(self.run, step, keep_validation) if self.workers.chief else NoLog()
        self._announce(step)
        self._build()
        users.begin(self.model, self.total_steps, self.steps_per_epoch)
        self.users, self.saved_step = users, step
        self.callbacks = self._callbacks()
        with self.stop, users:
            while not self.stop.agreed():
                # Before a validation, which is due where time is over, and after it.
                self.total_steps = self.limits.last_step(self.step, self.total_steps)
                scores = self._validate() if self._validation_is_due(self.step) else {}
                self.total_steps = self.limits.last_step(self.step, self.total_steps)
                if self.step % self.steps_per_epoch == 0 or self.step >= self.total_steps:
                    users.epoch_ended(-(-self.step // self.steps_per_epoch), scores)
                stops = self.workers.any(self.stop.requested, users.stopped)
                if self.step >= self.total_steps or stops:
                    break
                self._fit_to(self._next_stop())
                self.save()
            self.stop.agreed()  # a signal to one worker is one to all
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
        meta = {
            "step": step,
            "epoch": step / self.steps_per_epoch,
            "seconds": self.limits.seconds,
            "seed": self.config.train.seed,
            "images": len(self.training.records),
            "tensorflow": tf.__version__,
            "proposals": getattr(self.training.proposals, "fingerprint", None),
            "teacher": self.teacher,
        }
        if self.workers.chief:  # reading the arrays is the work of all
            self.store.save(arrays, meta)
        self.saved_step = step

    def _begin(self, model):
        """What a subclass does to a new model, which has the weights of train.init_from."""

    def _announce(self, step):
        versions, start = environment(self.strategy), self.config.train.init_from
        origin = {"init_from": start} if start and not step else {}
        about = {"environment": versions, **origin}
        self.log.line("start", step, step / self.steps_per_epoch, about)
        print("environment: " + "  ".join(f"{name} {value}" for name, value in versions.items()))
        print(
            f"run directory: {self.run}\nimages: {len(self.training.records)} for training, "
            f"{len(self.held_out.records) if self.held_out else 0} for validation, "
            f"classes: {self.training.num_classes}"
        )
        going_on = f"; going on after step {step}" if step else ""
        print(f"steps: {self.total_steps}, {self.steps_per_epoch} per epoch{going_on}", flush=True)

    def _build(self):
        config, train = self.config, self.config.train
        if self.arrays or train.init_from:
            # Pretrained weights are in the checkpoint; their file may be gone.
            config = configs.changed(config, {"model.backbone.weights": ""})
        keras.utils.set_random_seed(train.seed)
        with arithmetic(train.precision), self.strategy.scope():
            self.model = detector = self._model(config)
            if not self.arrays:
                if train.init_from:
                    names = self.training.class_names
                    lines = fine_tune.init_from(detector, names, train.init_from)
                    print("\n".join(lines), flush=True)
                self._begin(detector)
            self._compile()
        if self.arrays:
            state.restore_model(detector, self.arrays, prefer_ema=False)
            state.restore_optimizer(detector.optimizer, self.arrays)
        if self.average:
            self.average.restore(self.arrays or {})
        self.arrays = None
        trained = detector.trainable_variables
        size = sum(int(tf.size(variable)) for variable in trained)
        print(
            f"{detector.name}: {config.model.backbone.name}, {len(trained)} trained variables with "
            f"{size / 1e6:.2f} million numbers, "
            f"{len(detector.named_variables()) - len(trained)} others",
            flush=True,
        )

    def _compile(self):
        """Gives the model its optimizer and its weight average; inside the strategy's scope."""
        train, variables = self.config.train, self.model.trainable_variables
        self.schedule = WarmupSchedule(train, self.steps_per_epoch, self.total_steps)
        loss_scale = state.saved_loss_scale(self.arrays or {})
        kernels = self.model.kernels
        optimizer = build_optimizer(train, self.schedule, variables, kernels, loss_scale)
        if train.ema_decay:
            chosen = {variable.ref() for variable in variables}
            named = self.model.named_variables().items()
            averaged = {name: variable for name, variable in named if variable.ref() in chosen}
            self.average = WeightAverage(averaged, train.ema_decay, optimizer.iterations)
        self.model.compile(
            optimizer,
            weight_decay=coupled_weight_decay(train, optimizer),
            gradient_multipliers=train.gradient_multipliers,
            ema=self.average,
            seed=train.seed,
            accumulate_steps=train.accumulate_steps,
        )

    def _callbacks(self):
        train, per_epoch = self.config.train, self.steps_per_epoch
        return [
            FiniteLosses(self._paths_of_step, self.store),
            Progress(self.log, self.clock, self.schedule, train, per_epoch, self.total_steps),
            *self.users.in_fit,
            self.limits,  # before the checkpoint, which says how long the training has taken
            PeriodicCheckpoint(self.save, train.checkpoint_every, per_epoch),
            self.stop,
        ]

    def _next_stop(self):
        """The step of the next validation, or the last of an epoch before it, about FIT_STEPS
        ahead; of the next epoch where callbacks wait for it."""
        epoch = self.step // self.steps_per_epoch
        every = self.config.train.eval_every if self.held_out else 0
        stop = epoch + (1 if self.users.given else max(1, FIT_STEPS // self.steps_per_epoch))
        if every:
            stop = min(stop, (epoch // every + 1) * every)
        return min(stop * self.steps_per_epoch, self.total_steps)

    def _fit_to(self, stop_step):
        """Trains the steps that are missing to `stop_step`."""
        start, epoch = self.step, self.step // self.steps_per_epoch
        batches = self.workers.shared(
            lambda *share: self.clock.watch(self._batches(start, stop_step, *share))
        )
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
            if self.workers.number > 1 and isinstance(error, LOST):
                raise
            raise explained(error, self.step, self.plan, self.training.records) from error
        memory.give_back()
        traces = self.model.train_function.experimental_get_tracing_count()
        if traces != self.traces:
            print(f"training graph traced {traces} time(s)", flush=True)
        self.traces = traces

    def _paths_of_step(self, step):
        return [self.training.records[index].path for index in self.plan.batch(step).indices]

    def _validation_is_due(self, step):
        """After each eval_every-th epoch and after the last step, unless that step has a score."""
        every = self.config.train.eval_every
        epoch_end = every and step % (every * self.steps_per_epoch) == 0
        due = self.held_out and step and (epoch_end or step >= self.total_steps)
        return self.workers.any(self.workers.chief and due and self.store.metric(step) is None)

    def _validate(self):
        """Scores the weights, of which the log and the checkpoint of this step then tell.

        Returns {name: number}; empty where a signal came in between."""
        step = self.step
        try:
            self.stop.nothing_unsaved = True
            self.users.calls.on_test_begin()
            with self.average.swapped() if self.average else contextlib.nullcontext():
                outcome = self._outcome()
        except Interrupted:
            return {}
        finally:
            self.stop.nothing_unsaved = False
        self.log.scalars("validation", step, step / self.steps_per_epoch, outcome.numbers)
        self.log.validation(step, outcome)
        score = outcome.numbers[outcome.main]
        if self.workers.chief:
            self.store.record_metric(step, score, outcome.main)
        best_step, best = self.store.best() or (step, score)
        known = {name: value for name, value in outcome.numbers.items() if np.isfinite(value)}
        shown = "  ".join(f"{name} {value:.3f}" for name, value in known.items())
        print(
            f"validation after step {step}: {shown}; best {outcome.main} {best:.3f} at step "
            f"{best_step}",
            flush=True,
        )
        if step >= self.total_steps and outcome.table:
            print(outcome.table, flush=True)
        self.users.calls.on_test_end(outcome.numbers)
        return outcome.numbers

    def _summary(self, step):
        best, last = self.store.best(), self.store.path()
        interrupted = self.stop.requested and (
            step < self.total_steps or self._validation_is_due(step)
        )
        where = f"step {step} of {self.total_steps}"
        if self.users and self.users.stopped and step < self.total_steps and not interrupted:
            print(f"a callback stopped it after {where}", flush=True)
        if interrupted:
            goes_on = "The same command with --resume=auto goes on from there"
            print(f"stopped after {where}; saved: {last or 'nothing yet'}. {goes_on}", flush=True)
        return {
            "steps": step,
            "total_steps": self.total_steps,
            "interrupted": interrupted,
            "signalled": self.stop.requested,
            "best_metric": self.store.metric_name(),
            "best_score": best and best[1],
            "best_step": best and best[0],
            "run_dir": str(self.run),
            "checkpoint": last and str(last),
            "best_checkpoint": last and str(self.store.path("best") or last),
        }
