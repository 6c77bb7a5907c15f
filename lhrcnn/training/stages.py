"""Alternating training (Faster R-CNN, arXiv 1506.01497, section 3.2): the stages of `train.stages`
one by one, each an ordinary run.

RUN_DIR/stage_1, stage_2, ... are their run directories; RUN_DIR/proposals_K holds the proposals of
stage K's RPN, which stages of part `head` learn from. In the end RUN_DIR is itself a run directory,
with the weights of the last stage.
"""

import os
import shutil

import numpy as np

from lhrcnn import config as configs
from lhrcnn.data.datasets import open_dataset
from lhrcnn.distribution import strategy_for
from lhrcnn.errors import LhrcnnError
from lhrcnn.evaluation import proposals
from lhrcnn.files import Output, check_writable
from lhrcnn.inference.predictor import load_run
from lhrcnn.runs import resume as resuming
from lhrcnn.runs.directory import RunDirectory
from lhrcnn.runs.fine_tune import read_run
from lhrcnn.training import trainer
from lhrcnn.workers import Workers, strategy_of_workers

UNSHARED = """The second stage of this run (stage_{last}) does not share the features of the RPN
that it was trained with (stage_{rpn}): it takes the proposals of {folder},
as data.proposals in config.yaml says. To evaluate a split:

lhrcnn proposals --run_dir {run_dir}/stage_{rpn} --split SPLIT --output {folder} \\
    --set model.rpn.pre_nms_test={pre_nms} --set model.rpn.post_nms_test={post_nms}
lhrcnn eval --run_dir {run_dir} --split SPLIT
"""


def train(config, run_dir, resume="auto", callbacks=()):
    """As trainer.train, in the stages of the Config; at once where it has none. The same call goes
    on wherever it was stopped.

    The summary is that of the last stage begun, with "stage" (3 of 4) and the paths of RUN_DIR.
    The first stage, and those with `start: pretrained`, start from train.init_from. Raises what
    trainer.train does, naming the stage."""
    if not config.train.stages:
        return trainer.train(config, run_dir, resume, callbacks=callbacks)
    Workers(strategy_of_workers()).require_one("train.stages are")
    run = RunDirectory(run_dir)
    run.check_start()
    check_writable(run, run.option)
    if resuming.going_on(run.stage(1), resume) or run.checkpoints.steps():
        resuming.check_same_experiment(config, run)
    run.write_config(config, overwrite=run.stage(1).folder.is_dir())
    stages = [configs.stage(config, number) for number in range(1, len(config.train.stages) + 1)]
    rpn = None
    for number, (own, continues) in enumerate(stages, 1):
        stage, name = run.stage(number), f"{number} of {len(stages)}"
        cache = None
        if own.train.part == "head" and not own.data.proposals:
            cache = run.stage(rpn), stages[rpn - 1][0]
            own = configs.changed(own, {"data.proposals": str(run.proposals(rpn))})
        summary = stage.summary()
        if summary:
            print(f"stage {name} is complete", flush=True)
        else:
            if continues:
                own = configs.changed(own, {"train.init_from": str(run.stage(number - 1))})
            summary = _train_stage(own, stage, name, cache, callbacks)
            stopped = summary["signalled"] and number < len(stages)
            if summary["interrupted"] or stopped:
                return {**summary, "interrupted": True, "stage": name, "run_dir": str(run)}
        if own.train.part != "head":
            rpn = number
    _finish(config, run, own, rpn)
    last = run.checkpoints.path()
    paths = {"checkpoint": str(last), "best_checkpoint": str(run.checkpoints.path("best") or last)}
    return {**summary, "stage": name, "run_dir": str(run), **paths}


def _train_stage(config, stage, name, cache, callbacks):
    """The summary of training the RunDirectory of a stage, which is marked when it is complete: as
    soon as a callback ended it, too, which is how a Keras `fit` ends early.

    cache: (run, Config) of the stage whose RPN makes the proposals that it learns from, or None."""
    part, source = config.train.part, config.train.init_from or "the beginning"
    print(f"\nstage {name}: trains {part}, starts from {source}", flush=True)
    try:
        if cache:
            _cache(*cache, config)
        summary = trainer.train(config, stage, callbacks=callbacks)
    except LhrcnnError as error:
        raise type(error)(f"stage {name}: {error}") from error
    if not summary["interrupted"]:
        if summary["steps"] < summary["total_steps"]:
            print(f"stage {name} is complete with that", flush=True)
        stage.finish(summary)
    return summary


def _cache(source, options, config):
    """Makes the files of proposals that a Config names, for its training and validation images,
    with the run `source` of `options`."""
    strategy, folder = strategy_for(), config.data.proposals
    with strategy.scope():
        detector = load_run(source, overrides=proposals.LOOK_ONCE).model
    for split in filter(None, (config.data.train_split, config.data.val_split)):
        dataset = open_dataset(options.data, split)
        made = proposals.cache_proposals(detector, dataset, options, folder, split, strategy)
        print(f"proposals of {split} {'written to' if made else 'are in'} {folder}", flush=True)


def _finish(config, run, last, rpn):
    """Makes RUN_DIR a run directory with the weights of the last stage; without an RPN that fits,
    data.proposals is part of its config."""
    stage = run.stage(len(config.train.stages))
    run.start(config, *stage.classes())
    if stage.data():
        run.write_data(stage.data())
    partial = run.folder / "checkpoints.partial"
    if not run.checkpoints.folder.exists():
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(stage.checkpoints.folder, partial)
        os.replace(partial, run.checkpoints.folder)
    if last.train.part != "head" or rpn and _share_features(run.stage(rpn), stage):
        return
    given = configs.changed(config, {"data.proposals": last.data.proposals})
    run.write_config(given, overwrite=True)
    if rpn:
        text = UNSHARED.format(
            last=len(config.train.stages),
            rpn=rpn,
            folder=last.data.proposals,
            run_dir=run,
            pre_nms=config.model.rpn.pre_nms_test,
            post_nms=config.model.rpn.post_nms_test,
        )
        Output(run, run.option, overwrite=True).write("evaluation.txt", text)
        print(f"\n{text}", flush=True)


def _share_features(first, second):
    """Whether two runs have the same backbone and RPN, to the bit."""
    first, second = read_run(first), read_run(second)
    return all(
        np.array_equal(array, second[name])
        for name, array in first.items()
        if name.startswith(proposals.PARTS)
    )
