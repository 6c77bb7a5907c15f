"""Evaluation by several processes: each detects in its share of the images, and the detections are
put together again.

A share is an .npz file with the columns of `Detections`, the ids of its images, and a
fingerprint of the model, its options and the whole data set.
"""

import dataclasses
import hashlib

import numpy as np

from lhrcnn.errors import LhrcnnError
from lhrcnn.evaluation.detections import Detections, concatenate, in_order_of
from lhrcnn.evaluation.of_run import basis_of
from lhrcnn.files import save_npz
from lhrcnn.runs.state import digest_of
from lhrcnn.weights.npz import UNREADABLE, read_npz


class ShardError(LhrcnnError, ValueError):
    """Shares of an evaluation cannot be put together; the message says which, and what to do."""


def share_of(dataset, index, number):
    """The `Dataset` of every number-th image, from the index-th on, counted from 1."""
    return dataclasses.replace(dataset, records=dataset.records[index - 1 :: number])


def fingerprint(variables, config, dataset):
    """Hexadecimal digest of what an evaluation depends on: weights {name: variable}, and what is in
    `of_run.basis_of`."""
    basis = f"{digest_of(variables)}{basis_of(config, dataset)}"
    return hashlib.sha256(basis.encode()).hexdigest()


def save(file, detections, dataset, identity):
    """Writes the `Detections` of a share, the `Dataset`, to an open file; `identity` is the
    `fingerprint` of the evaluation."""
    save_npz(
        file,
        identity=identity,
        images=np.array([record.image_id for record in dataset.records], np.int64),
        **vars(detections),
    )


def merge(paths, dataset, identity):
    """The `Detections` of all shares, as one process would have made them.

    Raises ShardError for a share that is missing, unreadable or of another evaluation, and where
    images are missing or repeated."""
    parts, images = [], []
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise ShardError(
            f"{len(missing)} of {len(paths)} shares are missing: {', '.join(missing)}; "
            f"run `lhrcnn eval --shard i/{len(paths)}` for each"
        )
    for path in paths:
        try:
            content = read_npz(path)
            found = Detections(*(content[field.name] for field in dataclasses.fields(Detections)))
            own_identity, own_images = str(content["identity"]), content["images"]
        except UNREADABLE as error:
            raise ShardError(
                f"{path}: not readable as a share of an evaluation: {error!r}; make it again"
            ) from error
        if own_identity != identity:
            raise ShardError(
                f"{path}: a share of another evaluation: weights, options or images differ; make "
                "all shares again"
            )
        parts.append(found)
        images.append(own_images)
    wanted = sorted(record.image_id for record in dataset.records)
    there = np.sort(np.concatenate(images)).tolist()
    if there != wanted:
        raise ShardError(
            f"{paths[0].parent}: the shares hold {len(there)} images, of which {len(set(there))} "
            f"differ, the data set has {len(wanted)}; make all shares again"
        )
    return in_order_of(dataset, concatenate(parts))
