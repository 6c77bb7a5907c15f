"""Training, evaluating and exporting from Python: what the commands do, as functions.

TensorFlow is imported by what needs it. Everything that is wrong in a way that the caller can mend
is raised as a kind of `lhrcnn.errors.LhrcnnError`.
"""

import collections.abc
import os
import pathlib

from lhrcnn import config as configs
from lhrcnn.config.shipped import find_config
from lhrcnn.errors import ConfigError
from lhrcnn.files import Output


def load_config(name, changes=()):
    """The Config of a shipped config by name, of a YAML file, or of a run directory.

    changes: {"section.option": value}, or `section.option=value` texts. Raises ConfigError."""
    return configs.load(find_config(name), _listed(changes))


def open_dataset(data, split="train", training=False):
    """The `lhrcnn.data.schema.Dataset` of a split.

    data: a Config, {option of `data`: value} such as {"format": "voc", "dir": "VOCdevkit"}, or the
    folder; the format is found out where none is named. training: leaves out what is not trained
    on, as `train` does. Raises DataError."""
    from lhrcnn.data import datasets

    if not isinstance(data, configs.Config):
        data = configs.load(None, {"data.format": "auto", **_data_changes(data)})
    return datasets.open_dataset(data.data, split, training)


def train(
    config=(), data=None, run_dir="run", resume="auto", init_from="", callbacks=(), minutes=0
):
    """Trains a detector into a run directory, or goes on with the training there.

    config: a Config; else it is derived from the data, as `lhrcnn train --data_dir` does, and these
    are changes to it, as of `load_config`. data: folder of the data set, or {option of `data`:
    value}; None: what the Config says. resume: "auto" goes on where there are checkpoints, "must"
    demands some, "never" refuses them. init_from: run directory or pretrained model whose weights a
    new run starts from. minutes: how long a training with a derived config may take here; 0: what
    suits the data.
    callbacks: Keras callbacks (`from lhrcnn.keras import keras`). on_train_batch_end gets the
    number of the step, from 1, and its losses, on_test_end the scores of a validation, on_epoch_end
    the epoch, from 0, with losses and scores; `self.model.stop_training = True` ends the training,
    or that one of `train.stages`.

    Returns a dict: steps, total_steps, interrupted, best_metric, best_score, best_step, run_dir,
    checkpoint, best_checkpoint. Raises ConfigError, DataError, CheckpointError, OutputError and
    TrainingError."""
    from lhrcnn.training import own_data, stages

    changes = list(_data_changes(data).items())
    if init_from:
        changes.append(("train.init_from", str(init_from)))
    if isinstance(config, configs.Config):
        if minutes:
            raise ConfigError("minutes: for a derived config; set train.epochs or train.max_steps")
        return stages.train(configs.changed(config, changes), run_dir, resume, callbacks)
    if data is None:
        raise ConfigError("data: None; name the folder, or give what lhrcnn.load_config returns")
    derived = own_data.config_for([*_listed(config), *changes], run_dir, minutes)
    return stages.train(derived, run_dir, resume, callbacks)


def evaluate(
    run_dir, data=None, split="", metrics=(), checkpoint="best", changes=(), ensemble=(), output=""
):
    """{metric: {number: value}} of a run directory, or pretrained model by name, on a split.

    data: folder of the data set, or {option of `data`: value}; None: that of the training. split:
    as in the config; "": its data.test_split. metrics: names as in eval.metrics; (): the run's.
    checkpoint: "best", "last" or a file. changes: to the run's config, as of `load_config`.
    ensemble: run directories whose models detect together with this one. output: JSON file of the
    metrics; "": RUN_DIR/eval/SPLIT.json. Raises RunError, CheckpointError, ConfigError, DataError
    and OutputError."""
    from lhrcnn.distribution import strategy_for
    from lhrcnn.evaluation import detect, of_run
    from lhrcnn.inference.predictor import load_run
    from lhrcnn.runs.directory import RunDirectory

    scored_by = {"eval.metrics": _listed(metrics)} if metrics else {}
    overrides = [*_listed(changes), *_listed({**_data_changes(data), **scored_by})]
    ensemble = _listed(ensemble)
    strategy = strategy_for()
    with strategy.scope():
        trained = load_run(run_dir, checkpoint, overrides, ensemble)
    dataset, config, split = of_run.dataset_of(trained, split)
    path = pathlib.Path(output or RunDirectory(run_dir).evaluation(split))
    written = Output(path.parent, overwrite=not output)
    written.check(path.name, of_run.beside_metrics(path).name)
    scored, found = detect.evaluate(trained.model, dataset, config, strategy)
    about = of_run.about(run_dir, trained, dataset, split, ensemble)
    of_run.save(written, path, about, dataset, scored, found)
    return scored


def export(
    run_dir,
    output="",
    format="savedmodel",
    options=None,
    checkpoint="best",
    overwrite=False,
    changes=(),
):
    """Writes a run directory, or pretrained model by name, as a model for use elsewhere.

    output: its folder; "": RUN_DIR/export, or RUN_DIR/export_FORMAT. format: a name in EXPORTS.
    options: an `lhrcnn.inference.export.Options`. overwrite: replace an older export. Returns the
    path. Raises ExportError, DependencyError, OutputError, RunError and CheckpointError."""
    from lhrcnn.inference.export.write import export as write
    from lhrcnn.runs.directory import RunDirectory

    output = output or RunDirectory(run_dir).exported(format)
    return write(run_dir, output, format, options, checkpoint, overwrite, _listed(changes))


def _listed(given):
    """What was given as one text, several, or a dict, as a list."""
    if isinstance(given, (str, os.PathLike)):
        return [given]
    return list(given.items() if isinstance(given, collections.abc.Mapping) else given)


def _data_changes(data):
    """{"data.option": value} of what the functions above take as `data`."""
    if data is None:
        return {}
    if isinstance(data, (str, os.PathLike)):
        return {"data.dir": data}
    if isinstance(data, collections.abc.Mapping):
        return {f"data.{option}": value for option, value in data.items()}
    raise ConfigError(f"data: found {data!r}; allowed: a folder, or a dict of options")
