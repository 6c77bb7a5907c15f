"""Proposals of a detector's RPN over a data set, into files that second stages read (see
lhrcnn.data.proposals)."""

import dataclasses
import hashlib

from lhrcnn.data import proposals as files
from lhrcnn.errors import DataError
from lhrcnn.evaluation.detect import in_files, results_of
from lhrcnn.inference.predictor import PREPARATION
from lhrcnn.runs.state import digest_of

FROM_DATA = (*PREPARATION, "aspect_groups")
# Overrides for a run that proposes.
LOOK_ONCE = ("data.proposals=", "data.classes=[]", "test.scales=[1.0]", "test.flip=false")
PARTS = ("backbone/", "rpn/")  # names of the variables that proposals depend on


def fingerprint(detector, config):
    """Hexadecimal digest of the weights and options that the proposals of a TwoStageDetector depend
    on."""
    weights = {
        name: variable
        for name, variable in sorted(detector.named_variables().items())
        if name.startswith(PARTS)
    }
    backbone = dataclasses.replace(config.model.backbone, weights="", frozen_stages=0)
    options = [
        backbone,
        config.model.fpn,
        config.model.rpn,
        *(getattr(config.data, name) for name in FROM_DATA),
        # Left out where it is the default, as in older files.
        *([] if config.test.precision == "float32" else [config.test.precision]),
    ]
    return hashlib.sha256(f"{digest_of(weights)}{options}".encode()).hexdigest()


def cache_proposals(detector, dataset, config, folder, split, strategy=None, overwrite=False):
    """Makes the file of a split's proposals in `folder`, unless this very model's are there;
    returns whether it did.

    `detector` is a TwoStageDetector; config.model.rpn.post_nms_test proposals per image are
    written. overwrite: also over files that lhrcnn did not write."""
    identity = fingerprint(detector, config)
    try:
        files.open_proposals(folder, split, dataset.records, identity)
        return False
    except DataError:  # not there, of another model or incomplete: all the same
        number, records = config.model.rpn.post_nms_test, dataset.records
        batches = _batches(detector, dataset, config, strategy)
        files.write_proposals(folder, split, records, number, identity, batches, overwrite)
        return True


def _propose(detector, batch):
    return {"proposals": detector.regions(batch["image"], batch["image_size"])[1]}


def _batches(detector, dataset, config, strategy):
    """(image ids [B], proposals [B, P, 4] px of the images on disk) of batch after batch, without
    filling images."""
    for results in results_of(detector, _propose, dataset, config, strategy):
        real = results["row"] >= 0
        records = [dataset.records[row] for row in results["row"][real]]
        boxes = in_files(results["proposals"][real], results["scale"][real], records)
        yield [record.image_id for record in records], boxes
