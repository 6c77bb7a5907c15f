"""Detection by an Apache Beam pipeline, over the shards of a `bulk.Job`, wherever Beam can run.

Each worker process opens one detector, and reads and writes the job's folder: all of them must see
it, and the images. Import it only where Beam is asked for.
"""

import contextlib
import io
import logging
import shlex

from lhrcnn.errors import DependencyError, LhrcnnError, UsageError
from lhrcnn.inference import bulk


@contextlib.contextmanager
def _quiet(level):
    """Inside, nothing up to a level is logged: Beam warns of packages that it does not need, its
    local runner logs the traceback of an error that it also raises."""
    logging.disable(level)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


try:
    with _quiet(logging.WARNING):
        import apache_beam as beam
        from apache_beam.ml.inference.base import KeyedModelHandler, ModelHandler, RunInference
        from apache_beam.options.pipeline_options import PipelineOptions
except ImportError as error:
    raise DependencyError(
        f"--runner beam needs Apache Beam ({error}): pip install 'lhrcnn[beam]'"
    ) from error

# Beam's DirectRunner first tries to download a binary from the web; this one is all in Python.
LOCAL = "FnApiRunner"
_opened = {}  # bulk.DetectorFlags -> the detector of this process


class BeamError(LhrcnnError, RuntimeError):
    """A pipeline has failed; the message says why, and that finished shards stay."""


class DetectorHandler(ModelHandler):
    """Beam's RunInference with a detector: `bulk.Shard`s in, for each its (image, Prediction or
    error) pairs out."""

    def __init__(self, flags):
        """flags: `bulk.DetectorFlags`."""
        super().__init__(max_batch_size=1)
        self.flags = flags

    def load_model(self):
        """The detector of this process."""
        if self.flags not in _opened:
            _opened[self.flags] = self.flags.open()
        return _opened[self.flags]

    def run_inference(self, batch, model, inference_args=None):
        """Detects in all images of the shards; images run in batches as the detector has them."""
        del inference_args
        return [list(model.predict_each(bulk.images_of(shard))) for shard in batch]

    def get_num_bytes(self, batch):
        """0: Beam would pickle the batch to count them."""
        del batch
        return 0


def run(job, flags, detector, options=""):
    """Detects in the images of a `bulk.Job` that have no results yet.

    detector: what flags.open() gives, for workers that are this process; options: Beam's, as they
    are typed. Raises UsageError for options that are none, BeamError."""
    parsed, shards, threshold = parse(options), job.missing, job.threshold
    if not shards:
        return
    here = parsed.get_all_options()["runner"] == LOCAL
    _opened[flags] = detector
    try:
        with (
            _quiet(logging.ERROR if here else logging.NOTSET),
            beam.Pipeline(options=parsed) as pipeline,
        ):
            _ = (
                pipeline
                | "shards" >> beam.Create([(shard, shard) for shard in shards])
                | "detect" >> RunInference(KeyedModelHandler(DetectorHandler(flags)))
                | "write" >> beam.MapTuple(lambda s, pairs: bulk.write(s, pairs, threshold))
            )
    except (RuntimeError, OSError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise BeamError(
            f"the pipeline failed: {reason}; {len(shards) - len(job.missing)} of {len(shards)} "
            "shards were finished and stay: the same command does the others"
        ) from error
    finally:
        _opened.pop(flags, None)


def parse(text):
    """The PipelineOptions of a text; the runner is `LOCAL` unless it names one.

    Raises UsageError for what is no option of Beam's."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            found = PipelineOptions([f"--runner={LOCAL}", *shlex.split(text)])
            known = found.get_all_options()
            unknown = found.get_all_options(retain_unknown_options=True).keys() - known.keys()
    except (SystemExit, ValueError) as error:  # argparse prints its usage, and exits
        reason = (said.getvalue().strip().splitlines() or [str(error)])[-1]
        raise UsageError(f"--beam_options='{text}': not readable: {reason}") from None
    if unknown and known["runner"] == LOCAL:
        names = ", ".join(sorted(unknown))
        raise UsageError(f"--beam_options='{text}': Beam's local runner has no option {names}")
    return found
