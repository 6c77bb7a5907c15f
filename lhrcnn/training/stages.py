"""Alternating training (Faster R-CNN, arXiv 1506.01497, section 3.2): the stages of `train.stages` one by one, each an ordinary run.

RUN_DIR/stage_1, stage_2, ... are their run directories; RUN_DIR/proposals_K holds the proposals of stage K's RPN, which stages of part
`head` learn from. In the end RUN_DIR is itself a run directory, with the weights of the last stage.
"""

import dataclasses
import json
import os
import pathlib
import shutil

import numpy as np

from lhrcnn import config as configs
from lhrcnn.data.datasets import open_dataset
from lhrcnn.distribution import strategy_for
from lhrcnn.errors import CheckpointError, ConfigError, DataError, TrainingError
from lhrcnn.evaluation import proposals
from lhrcnn.files import Output, check_writable, replacing
from lhrcnn.inference.predictor import load_run
from lhrcnn.runs import resume as resuming
from lhrcnn.runs.checkpoints import CheckpointStore
from lhrcnn.runs.fine_tune import read_run
from lhrcnn.training import trainer

EXPLAINED = (ConfigError, DataError, CheckpointError, TrainingError)
UNSHARED = """The second stage of this run (stage_{last}) does not share the features of the RPN that it was trained with (stage_{rpn}):
it takes the proposals of {folder}, as data.proposals in config.yaml says. To evaluate a split:

lhrcnn proposals --run_dir {run_dir}/stage_{rpn} --split SPLIT --output {folder} \\
    --set model.rpn.pre_nms_test={pre_nms} --set model.rpn.post_nms_test={post_nms}
lhrcnn eval --run_dir {run_dir} --split SPLIT
"""


def train(config, run_dir, resume="auto", init_from=""):
    """As trainer.train, in the stages of the Config; at once where it has none. The same call goes on wherever it was stopped.

    The summary is that of the last stage begun, with "stage" (3 of 4) and the paths of RUN_DIR. init_from: what the first stage, and those
    with `start: pretrained`, start from. Raises what trainer.train does, naming the stage."""
    if not config.train.stages:
        return trainer.train(config, run_dir, resume, init_from=init_from)
    run_dir = pathlib.Path(run_dir)
    check_writable(run_dir, "--run_dir")
    if (
        resuming.going_on(CheckpointStore(run_dir / "stage_1"), resume)
        or CheckpointStore(run_dir).steps()
    ):
        resuming.check_same_experiment(config, run_dir)
    trainer.write_config(
        config, Output(run_dir, "--run_dir", overwrite=(run_dir / "stage_1").is_dir())
    )
    stages = [configs.stage(config, number) for number in range(1, len(config.train.stages) + 1)]
    rpn = None
    for number, (own, continues) in enumerate(stages, 1):
        folder, name = run_dir / f"stage_{number}", f"{number} of {len(stages)}"
        learns_from_cache = own.train.part == "head" and not own.data.proposals
        if learns_from_cache:
            own = configs.changed(own, {"data.proposals": str(run_dir / f"proposals_{rpn}")})
        try:
            if not (folder / "finished.json").exists():
                start = str(run_dir / f"stage_{number - 1}") if continues else init_from
                print(
                    f"\nstage {name}: trains {own.train.part}, starts from {start or 'the beginning'}",
                    flush=True,
                )
                if learns_from_cache:
                    _cache(run_dir / f"stage_{rpn}", stages[rpn - 1][0], own)
                summary = trainer.train(own, folder, init_from=start)
                if summary["interrupted"]:
                    return {**summary, "stage": name, "run_dir": str(run_dir)}
                with replacing(folder / "finished.json", "w") as file:
                    json.dump(summary, file)
                if summary["signalled"] and number < len(stages):
                    return {**summary, "interrupted": True, "stage": name, "run_dir": str(run_dir)}
            else:
                print(f"stage {name} is complete", flush=True)
                summary = json.loads((folder / "finished.json").read_text(encoding="utf-8"))
        except EXPLAINED as error:
            raise type(error)(f"stage {name}: {error}") from error
        if own.train.part != "head":
            rpn = number
    _finish(config, run_dir, own, rpn)
    store = CheckpointStore(run_dir)
    return {
        **summary,
        "stage": name,
        "run_dir": str(run_dir),
        "checkpoint": str(store.path()),
        "best_checkpoint": str(store.path("best") or store.path()),
    }


def _cache(source, options, config):
    """Makes the files of proposals that a Config names, for its training and validation images, with the run `source` of `options`."""
    strategy = strategy_for()
    with strategy.scope():
        detector = load_run(source, overrides=proposals.LOOK_ONCE).model
    for split in filter(None, (config.data.train_split, config.data.val_split)):
        made = proposals.cache_proposals(
            detector,
            open_dataset(options.data, split),
            options,
            config.data.proposals,
            split,
            strategy,
        )
        print(
            f"proposals of {split} {'written to' if made else 'are in'} {config.data.proposals}",
            flush=True,
        )


def _finish(config, run_dir, last, rpn):
    """Makes RUN_DIR a run directory with the weights of the last stage; without an RPN that fits, data.proposals is part of its config."""
    folder = run_dir / f"stage_{len(config.train.stages)}"
    shutil.copy(folder / "classes.json", run_dir)
    partial = run_dir / "checkpoints.partial"
    if not (run_dir / "checkpoints").exists():
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(folder / "checkpoints", partial)
        os.replace(partial, run_dir / "checkpoints")
    if last.train.part != "head" or rpn and _share_features(run_dir / f"stage_{rpn}", folder):
        return
    configs.save(
        dataclasses.replace(
            config, data=dataclasses.replace(config.data, proposals=last.data.proposals)
        ),
        run_dir / "config.yaml",
    )
    if rpn:
        text = UNSHARED.format(
            last=len(config.train.stages),
            rpn=rpn,
            folder=last.data.proposals,
            run_dir=run_dir,
            pre_nms=config.model.rpn.pre_nms_test,
            post_nms=config.model.rpn.post_nms_test,
        )
        (run_dir / "evaluation.txt").write_text(text, encoding="utf-8")
        print(f"\n{text}", flush=True)


def _share_features(first, second):
    """Whether two runs have the same backbone and RPN, to the bit."""
    first, second = read_run(first), read_run(second)
    return all(
        np.array_equal(array, second[name])
        for name, array in first.items()
        if name.startswith(proposals.PARTS)
    )
