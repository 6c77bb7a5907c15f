"""Several workers that train one model: who they are, and what they agree on.

A worker is a process, with its devices; `TF_CONFIG` names all of them, as TensorFlow's
MultiWorkerMirroredStrategy takes it, or Slurm does (`from_slurm`). Whatever depends on a clock, a
signal or a file is decided here by all together: a worker that left a step out would have the
others wait for it.
"""

import contextlib
import functools
import hashlib
import json
import os
import re

import numpy as np
import tensorflow as tf

from lhrcnn.distribution import strategy_for
from lhrcnn.errors import TrainingError, UsageError

# What TensorFlow raises in the others when a worker is gone, sooner or later.
LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError)
PORT = 12345  # of the workers that Slurm starts, one more for each other task of a node


@functools.cache
def strategy_of_workers():
    """The strategy over the devices of all workers that TF_CONFIG names, else `strategy_for()`.

    To be called before TensorFlow computes anything, where there are several. It waits for the
    others. Raises UsageError for a TF_CONFIG that cannot be meant, TrainingError where it is too
    late."""
    addresses, index = _named(os.environ.get("TF_CONFIG", ""))
    if len(addresses) < 2:
        return strategy_for()
    print(f"worker {index} of {len(addresses)} ({addresses[index]}): waits for the others")
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise TrainingError(
            f"TF_CONFIG names {len(addresses)} workers, and TensorFlow has computed something "
            f"already in this process ({error}); call lhrcnn.train first"
        ) from error


def _named(text):
    """(addresses of the workers, which of them this process is) that TF_CONFIG names."""
    if not text.strip():
        return [], 0
    try:
        content = json.loads(text)
        cluster, task = content.get("cluster", {}), content.get("task", {})
        addresses = [*cluster.get("chief", []), *cluster.get("worker", [])]
        index = int(task.get("index", 0))
        if task.get("type") == "worker":
            index += len(cluster.get("chief", []))
        others = set(cluster) - {"chief", "worker"}
    except (ValueError, AttributeError, TypeError) as error:
        raise UsageError(f"TF_CONFIG: not readable as JSON of a cluster: {error}") from None
    if others or (addresses and task.get("type") not in ("chief", "worker")):
        raise UsageError(
            f"TF_CONFIG: found jobs {', '.join(cluster)} and task {task}; allowed are the jobs "
            "chief and worker, of which the task is one"
        )
    if addresses and not 0 <= index < len(addresses):
        raise UsageError(f"TF_CONFIG: task {task} is none of the {len(addresses)} workers")
    return addresses, index


def from_slurm(environment=os.environ):
    """The TF_CONFIG of a task that Slurm's `srun` started: one worker per task.

    Raises UsageError outside of Slurm."""
    from tensorflow.python.distribute.cluster_resolver import slurm_cluster_resolver as slurm

    names = ("SLURM_STEP_NODELIST", "SLURM_STEP_TASKS_PER_NODE", "SLURM_PROCID")
    missing = [name for name in names if name not in environment]
    if missing:
        raise UsageError(
            f"--workers=slurm: {', '.join(missing)} not set; start it by `srun lhrcnn train ...`"
        )
    nodes, counts, index = (environment[name] for name in names)
    hosts, tasks = slurm.expand_hostlist(nodes), slurm.expand_tasks_per_node(counts)
    addresses = [
        f"{host}:{PORT + task}" for host, number in zip(hosts, tasks) for task in range(number)
    ]
    task = {"type": "worker", "index": int(index)}
    return json.dumps({"cluster": {"worker": addresses}, "task": task})


class Workers:
    """The workers of a strategy; one where it is of a single process."""

    def __init__(self, strategy):
        self.strategy, resolver = strategy, strategy.cluster_resolver
        spec = resolver.cluster_spec().as_dict() if resolver else {}
        self.number = max(1, sum(map(len, spec.values())))
        self._chiefs, self.index = len(spec.get("chief", [])), 0
        if self.number > 1:
            self.index = self._index_of(resolver.task_type, resolver.task_id)
        self.local_replicas = strategy.num_replicas_in_sync // self.number

    @property
    def chief(self):
        """Whether this one writes files and speaks for all."""
        return self.index == 0

    @contextlib.contextmanager
    def one_voice(self):
        """Inside, only the chief prints."""
        with contextlib.ExitStack() as stack:
            if not self.chief:
                nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
                stack.enter_context(contextlib.redirect_stdout(nowhere))
            yield

    @contextlib.contextmanager
    def chief_first(self):
        """The others enter when the chief has left."""
        if not self.chief:
            self.any()
        yield
        if self.chief:
            self.any()

    def any(self, *flags):
        """Whether one of the flags is set on any worker: the same answer on all."""
        if self.number == 1:
            return any(flags)
        return bool(_functions(self.strategy)[0](tf.constant(float(any(flags)))))

    def part(self):
        """Waits until all have come here: before, none may leave, as another one still reads what
        it has sent. One that has left from here is not missed."""
        with contextlib.suppress(*LOST):
            self.any()

    def gather(self, rows):
        """The rows [n, c] float64 of all workers, in the order of the workers."""
        if self.number == 1:
            return rows
        # A row ahead of each share: TensorFlow gathers no tensor that is empty everywhere.
        shares = np.concatenate([np.full([1, rows.shape[1]], np.nan), rows])
        found = _functions(self.strategy)[1](tf.constant(shares)).numpy()
        return found[~np.isnan(found).all(axis=1)]

    def require_one(self, what):
        """Raises UsageError for `what`, several words, which several workers cannot share."""
        if self.number > 1:
            raise UsageError(f"TF_CONFIG: {what} the work of one worker; unset TF_CONFIG")

    def check_same(self, texts):
        """Raises TrainingError, on every worker, unless all give the same {what: text}."""
        if self.number == 1:
            return
        digests = [int(hashlib.sha256(t.encode()).hexdigest()[:12], 16) for t in texts.values()]
        found = self.gather(np.array([digests], np.float64))
        for what, column in zip(texts, found.T):
            others = [str(number) for number in np.flatnonzero(column != column[0])]
            if others:
                raise TrainingError(
                    f"worker {', '.join(others)} of {self.number} has {what} that differs from "
                    "worker 0's; give all of them the same command, data and run directory"
                )

    def lost(self, error):
        """What to say of an error of `LOST`."""
        tasks = re.findall(r"/job:(\w+)/(?:replica:\d+/)?task:(\d+)", str(error))
        named = [self._index_of(job, int(task)) for job, task in tasks]
        named = [index for index in named if index != self.index]
        who = f"worker {named[-1]}" if named else "another one"
        lines = str(error).split("}} ")[-1].strip().splitlines()
        reason = next((line for line in lines if "aborted" in line), lines[-1])
        return (
            f"worker {self.index} of {self.number}: {who} has stopped or cannot be reached; "
            "checkpoints are whole: start the same command on all workers again, and it goes on "
            f"from the last one ({reason})"
        )

    def shared(self, dataset_of):
        """The input of a step: dataset_of(index, number), this worker's tf.data.Dataset.

        One of its batches is a step of this worker, divided evenly over its devices."""
        if self.number == 1:
            return dataset_of(0, 1)

        def own(context):
            dataset = dataset_of(context.input_pipeline_id, context.num_input_pipelines)
            return _divided(dataset, self.local_replicas)

        return self.strategy.distribute_datasets_from_function(own)

    def _index_of(self, job, task):
        return task + (self._chiefs if job == "worker" else 0)


@functools.cache
def _functions(strategy):
    """(sum over workers of a scalar, concatenation of [n, c]) as graphs: traced once."""

    def of_first(value, nothing):
        context = tf.distribute.get_replica_context()
        local = len(strategy.extended.worker_devices)
        return tf.cond(context.replica_id_in_sync_group % local == 0, lambda: value, nothing)

    @tf.function
    def added(value):
        values = strategy.run(lambda: of_first(value, lambda: tf.zeros_like(value)))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None)

    @tf.function(reduce_retracing=True)
    def gathered(rows):
        return strategy.gather(strategy.run(lambda: of_first(rows, lambda: rows[:0])), axis=0)

    return added, gathered


def _divided(batches, parts):
    """Each batch as `parts` batches of consecutive rows."""
    if parts == 1:
        return batches

    def split(batch):
        size = tf.shape(batch["image"])[0] // parts
        cut = {
            name: tf.reshape(value, tf.concat([[parts, size], tf.shape(value)[1:]], 0))
            for name, value in batch.items()
        }
        return tf.data.Dataset.from_tensor_slices(cut)

    return batches.flat_map(split)
