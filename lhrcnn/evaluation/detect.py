"""Running a detector over a data set, on one device or many, and scoring what it finds."""

import weakref

import numpy as np
import tensorflow as tf

from lhrcnn.autograph import without_autograph
from lhrcnn.data.batches import pipeline
from lhrcnn.data.faults import find_unreadable, size_fault
from lhrcnn.distribution import evenly_shared
from lhrcnn.evaluation.detections import Detections, concatenate, in_order_of, of_image, unusable
from lhrcnn.evaluation.scoring import score
from lhrcnn.progress import Progress
from lhrcnn.workers import Workers

_USED = ("image", "image_size", "proposals", "scale", "row")
# detector -> {(what is found, strategy, batch signature): its tf.function}
_functions = weakref.WeakKeyDictionary()
_IMAGE_ERRORS = (
    tf.errors.InvalidArgumentError,
    tf.errors.NotFoundError,
    tf.errors.PermissionDeniedError,
    tf.errors.FailedPreconditionError,
    tf.errors.OutOfRangeError,
    tf.errors.UnknownError,
)


def evaluate(detector, dataset, config, strategy=None):
    """({metric: its numbers}, `Detections`) of a detector on a `Dataset`, by config.eval.metrics.

    See `detect_dataset` for the arguments and errors, `scoring.score` for the metrics."""
    found = detect_dataset(detector, dataset, config, strategy)
    return score(dataset, found, config.eval), found


def detect_dataset(detector, dataset, config, strategy=None, progress=True):
    """All `Detections` on the images of a `Dataset`, in its order.

    Boxes are in px of the images on disk, and clipped to them. detector: anything with
    TwoStageDetector's `detect`; strategy: a tf.distribute strategy whose replicas share each batch
    of config.eval.batch_size images (rounded up to a multiple of them). Results do not depend on
    batch size or strategy. Raises DataError naming each image that cannot be read."""
    strategy = strategy or tf.distribute.get_strategy()
    parts = [
        on_disk(results, dataset.records)
        for results in results_of(detector, _detect, dataset, config, strategy, progress)
    ]
    return in_order_of(dataset, _of_all(Workers(strategy), concatenate(parts)))


def _of_all(workers, found):
    """The `Detections` of all workers together; float64 holds every column exactly."""
    if workers.number == 1:
        return found
    columns = vars(found).values()
    rows = workers.gather(np.column_stack([column.astype(np.float64) for column in columns]))
    parts = zip(np.split(rows, [1, 5, 6], axis=1), columns)
    return Detections(*(p.reshape(-1, *own.shape[1:]).astype(own.dtype) for p, own in parts))


def detect_images(detector, dataset):
    """As `detect_dataset`, with what has Detector's `predict_each`, from the image files."""
    paths = [record.path for record in dataset.records]
    report, parts = Progress("evaluating", len(paths)), []
    for record, (_, found) in zip(dataset.records, detector.predict_each(paths)):
        fault = found if isinstance(found, Exception) else size_fault(record, *found.size)
        if fault:
            raise unusable(find_unreadable(dataset.records[len(parts) :]) or [str(fault)])
        parts.append(of_image(record.image_id, found.boxes, found.scores, found.classes))
        report.update(len(parts))
    return concatenate(parts)


def results_of(detector, find, dataset, config, strategy=None, progress=True):
    """Yields what find(detector, batch) is, a dict of arrays, for batch after batch of a `Dataset`;
    of several workers each has its share.

    The batch's "scale" and "row" come with it. For the other arguments and errors see
    `detect_dataset`."""
    strategy = strategy or tf.distribute.get_strategy()
    workers, batch_size = Workers(strategy), evenly_shared(config.eval.batch_size, strategy)

    def own(*share):
        size = batch_size // workers.number
        batches = pipeline.evaluation_batches(dataset, config.data, size, *share)
        return batches.map(lambda batch: {name: batch[name] for name in _USED if name in batch})

    batches = workers.shared(own)
    if workers.number == 1:
        batches = strategy.experimental_distribute_dataset(batches)
    function = _function(detector, find, strategy, batches.element_spec)
    report = Progress("evaluating", len(dataset.records), shown=progress)
    seen, iterator = {-1}, iter(batches)  # rows; -1: of filling images
    while True:
        try:
            batch = next(iterator, None)
        except _IMAGE_ERRORS as error:
            unseen = [record for row, record in enumerate(dataset.records) if row not in seen]
            unreadable = find_unreadable(unseen)
            if unreadable:
                raise unusable(unreadable) from error
            raise
        if batch is None:
            return
        parts = {
            name: strategy.experimental_local_results(value)
            for name, value in function(batch).items()
        }
        results = {name: np.concatenate([p.numpy() for p in own]) for name, own in parts.items()}
        yield results
        seen.update(results["row"].tolist())
        # The other workers are about as far.
        report.update(min((len(seen) - 1) * workers.number, len(dataset.records)))


def _detect(detector, batch):
    return detector.detect(
        *(batch[name] for name in ("image", "image_size", "proposals") if name in batch)
    )


def _function(detector, find, strategy, spec):
    """The tf.function from a batch to what is found.

    It is kept as long as the detector, so that later evaluations need no trace."""
    functions = _functions.setdefault(detector, {})
    key = (find, id(strategy), str(spec))
    if key not in functions:
        # A strong reference would keep the detector alive in _functions.
        reference = weakref.ref(detector)

        @without_autograph
        def on_replica(batch):
            return {**find(reference(), batch), "scale": batch["scale"], "row": batch["row"]}

        # Sizes are open in the signature where batches differ in them: one trace for all.
        functions[key] = tf.function(
            lambda batch: strategy.run(on_replica, args=(batch,)), input_signature=[spec]
        )
    return functions[key]


def on_disk(results, records):
    """The `Detections` of one batch, without padding and filling images."""
    chosen = [records[row] for row in results["row"]]  # the last one's for a filling image
    boxes = in_files(results["boxes"], results["scale"], chosen)
    kept = (results["classes"] >= 0) & (results["row"] >= 0)[:, None]
    ids = np.asarray([record.image_id for record in chosen], np.int64)[np.nonzero(kept)[0]]
    return Detections(ids, boxes[kept], results["scores"][kept], results["classes"][kept])


def in_files(boxes, scale, records):
    """Boxes [B, n, 4] px of the network's input, at `scale` [B, 2] to it, in px of the images on
    disk and clipped to them."""
    sizes = np.array([(record.height, record.width) for record in records], np.float32)
    limit = np.tile(sizes.reshape(-1, 2), 2)[:, None]
    return np.clip(boxes / np.tile(scale, 2)[:, None], 0, limit)
