"""`lhrcnn report`."""

import pathlib

from lhrcnn import commands
from lhrcnn.files import split_name
from lhrcnn.runs.directory import RunDirectory

RUNS = 10  # of every stage


FLAGS = (
    *commands.RUN,
    commands.DATA_DIR,
    commands.split_flag("images to report on", "test_split"),
    *commands.output_flags("", "HTML file; none: RUN_DIR/report/SPLIT.html"),
    commands.switch("speed", True, "time every stage of the detector, for the table"),
    commands.SET,
)


def run(values):
    """Writes what a run gets wrong, from its kept detections or after detecting again."""
    run_dir = pathlib.Path(commands.require(values, "run_dir", "runs/shapes"))
    overrides = commands.overrides_of_run(values)

    from lhrcnn.evaluation import of_run
    from lhrcnn.evaluation.scoring import score

    trained, strategy = commands.loaded_run(values, run_dir, overrides)
    dataset, experiment, split = commands.dataset_of_run(trained, values)
    written, name = output_for(values, run_dir, split)
    about = of_run.about(run_dir, trained, dataset, split)
    evaluation = RunDirectory(run_dir).evaluation(split)
    detections, kept = of_run.kept_or_made(
        evaluation, about, trained, dataset, experiment, strategy, overrides
    )
    if kept:
        print(f"detections  {of_run.beside_metrics(evaluation)}")
    scored = score(dataset, detections, experiment.eval)
    write(written, name, trained, dataset, experiment, detections, scored, about, values.speed)


def output_for(values, run_dir, split):
    """(files.Output, name of the files without suffix) of a report on a split."""
    from lhrcnn.evaluation.report.write import file_names

    given = pathlib.Path(values.output) if values.output else None
    path = given or RunDirectory(run_dir).reports / f"{split_name(split)}.html"
    written = commands.output_of(values, path.parent, of_run=not given)
    written.check(*file_names(path.stem))
    return written, path.stem


def write(written, name, trained, dataset, experiment, detections, scored, about, speed=True):
    """Writes a report, with the run's training curves and the time of each stage; says where."""
    from lhrcnn.evaluation.report.write import training_of, write_report

    more = {
        "training": training_of(RunDirectory(about["run_dir"]), trained.model.counts),
        "stages": _stages(trained.model, dataset, experiment) if speed else None,
    }
    path = write_report(written, name, dataset, detections, scored, about, more)
    print(f"report      {path}")


def _stages(detector, dataset, experiment):
    """The time of each stage on the first image; None where the detector has other stages."""
    import os

    import tensorflow as tf

    from lhrcnn.commands.benchmark_stages import profile
    from lhrcnn.data.batches.pipeline import evaluation_batches
    from lhrcnn.models.detector import TwoStageDetector

    if type(detector) is not TwoStageDetector or experiment.data.proposals:
        return None
    batch = next(iter(evaluation_batches(dataset, experiment.data, 1)))
    figures = profile(detector, batch["image"], batch["image_size"], RUNS)
    devices = [device.device_type for device in tf.config.list_logical_devices()]
    return {
        **figures,
        "size": [int(side) for side in batch["image"].shape[1:3]],
        "runs": RUNS,
        "device": "GPU" if "GPU" in devices else "CPU",
        "processors": os.cpu_count(),
    }


COMMAND = commands.Command("what a run gets wrong, as one HTML page with its data", FLAGS, run)
