"""The config for data that nobody has written one for: `derive`'s choices, said with their reasons
as they are made.
"""

import copy

import numpy as np

from lhrcnn import boxes
from lhrcnn import config as configs
from lhrcnn.data.datasets import open_dataset, read_dataset
from lhrcnn.evaluation.detect import detect_dataset
from lhrcnn.inference.predictor import load_run
from lhrcnn.runs import zoo
from lhrcnn.runs.directory import CONFIG, RUN_FILES, RunDirectory
from lhrcnn.training import derive, pace

LOOKED_AT = 48  # images
SCORE, IOU = 0.1, 0.5  # of a box that finds an object


def config_for(changes, run_dir, minutes=0):
    """The Config of a training in run_dir on the data that `changes` name, as of `config.load`.

    It is the one that the run began with, where it did, with the changes. `changes` have the last
    word: train.init_from, for one, names the model to start from. minutes: how long the training
    may take here; 0: what suits the data. Raises ConfigError, DataError and RunError."""
    begun = RunDirectory(run_dir).folder / CONFIG
    if begun.is_file():
        print(f"config: {begun} (what this run was started with)", flush=True)
        return configs.load(begun, changes)
    named = configs.load(None, changes).train.init_from  # what is wrong shows before data are read
    base = _base(named or zoo.START, changes)
    print(
        f"config: derived from the data, and kept in {begun}; --config names another, --set "
        "changes an option"
    )
    dataset = open_dataset(base.data, base.data.train_split, training=True)
    found = share_found(load_run(zoo.START), dataset)  # quick, whatever is to start from
    measures = derive.measure(dataset)._replace(found=found)
    start = named or (zoo.DEFAULT if derive.is_known(measures) else zoo.START)
    base = _base(start, changes)

    def decided(config, choices):
        print("\n".join(derive.describe(choices)), flush=True)
        values = {choice.option: choice.value for choice in choices}
        return configs.changed(configs.changed(config, values), changes)

    bfloat16 = derive.processor_has_bfloat16()
    sized = decided(base, derive.derive(measures, base, bfloat16, run_dir))
    speed = pace.measure(sized, dataset)
    held_out = read_dataset(base.data, base.data.val_split).records if base.data.val_split else ()
    looks = derive.EVALUATIONS * len(held_out)
    steps = speed.steps(60 * minutes, looks) if minutes else 0
    derived = decided(sized, derive.length(measures, sized, steps))
    print(f"time: {speed.describe(derive.num_steps(measures, derived.train), looks)}", flush=True)
    return derived


def share_found(run, dataset):
    """Share of the objects in a few images of a `Dataset` that a LoadedRun finds, whatever class it
    takes them for."""
    every = -(-len(dataset.records) // LOOKED_AT)
    looked_at = copy.copy(dataset)
    looked_at.records, looked_at.proposals = dataset.records[::every], None
    detections = detect_dataset(run.model, looked_at, run.config, progress=False)
    num_objects = num_found = 0
    for record in looked_at.records:
        objects = record.boxes[~np.asarray(record.ignore, bool)]
        of_image = (detections.image_ids == record.image_id) & (detections.scores >= SCORE)
        num_objects += len(objects)
        overlaps = boxes.iou(objects, detections.boxes[of_image]).numpy()
        num_found += int((overlaps >= IOU).any(1).sum())
    return num_found / max(num_objects, 1)


def _base(source, changes):
    """The Config of a trained model, for other data, which starts from its weights."""
    own = {**derive.OTHER_DATA, "train.init_from": source}
    return configs.changed(configs.changed(zoo.find_run(source, RUN_FILES).config(), own), changes)
