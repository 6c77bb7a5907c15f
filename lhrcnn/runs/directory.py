"""A run directory: which files a run has, how they are written, and whose they are."""

import json
import os
import pathlib
import re

from absl import logging

from lhrcnn import config as configs
from lhrcnn.errors import CheckpointError, OutputError, RunError
from lhrcnn.files import Output, replacing, split_name, wrote

CONFIG, CLASSES, DATA, METRICS = "config.yaml", "classes.json", "data.json", "metrics.jsonl"
RUN_FILES = (CONFIG, CLASSES)  # what every run has beside its checkpoints
# What may lie in a folder that a training starts in; whether each may be replaced, its digest
# tells.
KNOWN = re.compile(
    r"\..*|config\.yaml|classes\.json|data\.json|metrics\.jsonl|checkpoints(\.partial)?|tensorboard"
    r"|eval|report|export(_\w+)?|images|evaluation\.txt|finished\.json|(stage|proposals)(_\d+)?"
    r"|.*\.[0-9a-f]{32}\.partial"  # what a kill left of files.replacing
    r"|.*\.(log|out|err|txt)"  # what a shell may be writing there already
)


class RunDirectory:
    """The files of one run; nothing is read or written before a method is called.

    config.yaml      the run's options, with its plugins
    classes.json     names and category ids of the classes, in the order of the model's outputs
    data.json        what the training images were: their number, classes, a digest, and those
                     drawn for validation
    checkpoints/     weights and what a resumed training needs, see `CheckpointStore`
    metrics.jsonl    what a training logged, and tensorboard/ with the same
    eval/            metrics and detections, a file per split
    report/          what the model gets wrong, a page per split
    proposals/       what the RPN proposes, a file per split; proposals_K of stage K
    stage_K/         the run directories of alternating training; finished.json in each
    export/          the exported model
    """

    def __init__(self, folder, option="--run_dir", keep_checkpoints=2):
        """`option` is what messages call the folder."""
        self.folder, self.option = pathlib.Path(folder), option
        # Imported here, since it takes longer than all else that `lhrcnn --help` imports.
        from lhrcnn.runs.checkpoints import CheckpointStore

        self.checkpoints = CheckpointStore(self.folder, keep_checkpoints)

    def __fspath__(self):
        return str(self.folder)

    def __str__(self):
        return str(self.folder)

    @property
    def exists(self):
        """Whether there is a run: with checkpoints, or begun without having got that far."""
        return bool(self.checkpoints.steps()) or wrote(self.folder, CLASSES)

    def require(self, *names, or_else=""):
        """Raises RunError unless these files are there; the message ends with `or_else`."""
        missing = [name for name in names if not (self.folder / name).is_file()]
        if not missing:
            return
        found = f"no {' and no '.join(missing)} in it"
        if not self.folder.is_dir():
            found = "it is a file" if self.folder.is_file() else "no such folder"
        raise RunError(
            f"{self}: not a run directory: {found}; give the {self.option} of a training, which "
            f"writes these files{or_else}"
        )

    def check_start(self):
        """Raises OutputError where starting a run would mix it with, or replace, other files.

        Changes nothing."""
        if self.exists or not self.folder.is_dir():
            return
        others = sorted(name for name in os.listdir(self.folder) if not KNOWN.fullmatch(name))
        if others:
            raise OutputError(
                f"{self}: holds files that are no run's, such as {others[0]}; "
                f"give another {self.option}: a new or empty folder"
            )
        Output(self.folder, self.option).check(CLASSES, DATA, METRICS, "checkpoints/index.json")

    def start(self, config, class_names, category_ids):
        """Writes the options and classes of a run, unless the files there say the same.

        Raises OutputError as `check_start` does, and for a config.yaml of other options that
        lhrcnn did not write."""
        self.check_start()
        going_on = self.exists
        self.write_config(config, overwrite=going_on)
        output = Output(self.folder, self.option, overwrite=going_on)
        content = {"names": class_names, "category_ids": category_ids}
        output.write(CLASSES, json.dumps(content, indent=1, ensure_ascii=False))

    def config(self, overrides=()):
        """The run's Config, and `overrides` as `config.load` takes them judged together with it."""
        return configs.load(self.folder / CONFIG, overrides)

    def write_config(self, config, overwrite=False):
        """Writes the Config, unless the file there, of whoever, says the same."""
        path = self.folder / CONFIG
        if not path.is_file() or configs.load(path) != config:
            Output(self.folder, self.option, overwrite).write(CONFIG, configs.dump(config))

    def classes(self):
        """(names, category ids) of the classes. Raises CheckpointError for an unreadable file."""
        path = self.folder / CLASSES
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            names = list(map(str, content["names"]))
            category_ids = list(map(int, content["category_ids"]))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise CheckpointError(
                f'{path}: not readable as {{"names": [...], "category_ids": [...]}}: {error!r}'
            ) from None
        if len(names) != len(category_ids) or not names:
            raise CheckpointError(
                f"{path}: {len(names)} names and {len(category_ids)} category ids; expected the "
                "same number, at least one"
            )
        return names, category_ids

    def data(self):
        """What `data_of` said of the training images; None in a run of an older lhrcnn."""
        return _json_of(self.folder / DATA, _is_data, "the data is not compared")

    @property
    def held_out(self):
        """Names of the images that were drawn for validation when the run began."""
        return tuple((self.data() or {}).get("held_out", ()))

    def write_data(self, content):
        """Notes what `data_of` says of the training images."""
        output = Output(self.folder, self.option, overwrite=self.exists)
        output.write(DATA, json.dumps(content, indent=1, ensure_ascii=False))

    @property
    def metrics(self):
        """Path of the log of numbers, a JSON object per line."""
        return self.folder / METRICS

    def logged(self):
        """Yields the lines of `metrics` as dicts, up to one that a kill or a full disk damaged."""
        if not self.metrics.is_file():
            return
        with open(self.metrics, encoding="utf-8", errors="replace") as file:
            for text in file:
                try:
                    line = json.loads(text)
                except (ValueError, RecursionError):
                    return
                if not _is_line(line):
                    return
                yield line

    @property
    def tensorboard(self):
        """Folder of TensorBoard's files."""
        return self.folder / "tensorboard"

    def exported(self, format):
        """Folder of the model exported in a format, unless told otherwise."""
        return self.folder / ("export" if format == "savedmodel" else f"export_{format}")

    def evaluation(self, split, kind=""):
        """Path of the JSON file of a split's metrics, or of its `kind` ("localisation")."""
        return self.folder / "eval" / f"{split_name(split)}{kind and '_' + kind}.json"

    @property
    def reports(self):
        """Folder of the reports."""
        return self.folder / "report"

    def evaluations(self):
        """{file name: metrics} of the splits that were evaluated, sorted."""
        found = {}
        for path in sorted(self.folder.glob("eval/*.json")):
            if path.stem.endswith("_detections"):
                continue
            content = _json_of(path, lambda content: "data" in content, "it is passed over")
            if content:
                found[path.name] = content
        return found

    def proposals(self, stage=None):
        """Folder of the proposals that the run's RPN made, or that of a stage."""
        return self.folder / ("proposals" if stage is None else f"proposals_{stage}")

    def stage(self, number):
        """The RunDirectory of a stage of alternating training, counted from 1."""
        return RunDirectory(self.folder / f"stage_{number}", self.option)

    def summary(self):
        """The summary of a stage that is complete, else None."""
        path = self.folder / "finished.json"
        return _json_of(path, lambda content: "steps" in content, "the stage is looked at again")

    def finish(self, summary):
        """Notes that a stage is complete, with the summary of its training."""
        with replacing(self.folder / "finished.json", "w") as file:
            json.dump(summary, file)


def _json_of(path, as_written, otherwise):
    """The dict in a JSON file; None without one, and with a warning where it is damaged.

    as_written(dict): whether it has what lhrcnn writes there; otherwise: what follows if not."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and as_written(content):
            return content
        reason = "not as it was written"
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        reason = error
    logging.warning("%s: not readable (%s); %s", path, reason, otherwise)
    return None


def _is_data(content):
    """Whether a dict of data.json has what `data_of` makes."""
    held_out = content.get("held_out", [])
    names = isinstance(held_out, list) and all(isinstance(name, str) for name in held_out)
    return names and isinstance(content.get("digest"), str)


def _is_line(line):
    """Whether a value of metrics.jsonl is a line of a training's log."""
    return (
        isinstance(line, dict)
        and isinstance(line.get("step"), int)
        and isinstance(line.get("epoch"), (int, float))
        and isinstance(line.get("phase"), str)
        and all(abs(value) < 2**63 for value in line.values() if isinstance(value, int))
    )


def data_of(dataset):
    """What a run notes of its training `Dataset`: name, number of images, classes, digest, and the
    names of the images that were drawn for validation."""
    return {
        "name": dataset.name,
        "images": len(dataset.records),
        "classes": dataset.class_names,
        "digest": dataset.digest(),
        **({"held_out": list(dataset.held_out)} if dataset.held_out else {}),
    }
