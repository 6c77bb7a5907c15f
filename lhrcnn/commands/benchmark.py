"""`lhrcnn benchmark`."""

import json
import os

from lhrcnn import commands
from lhrcnn.errors import UsageError

WARM_UP = 3  # runs that are not counted


FLAGS = (
    *commands.config_flags(),
    *commands.RUN,
    *commands.MODEL,
    commands.text("size", "800x1200", "height x width of the images in px"),
    commands.integer("batch_size", 1, "images that run together", lower_bound=1),
    commands.integer("num_classes", 80, "foreground classes", lower_bound=1),
    commands.integer("runs", 20, "timed runs of every stage, by turns", lower_bound=1),
    commands.integer(
        "threads", 0, "threads of TensorFlow; 0: as many as processors", lower_bound=0
    ),
    *commands.output_flags("", "JSON file for the figures; none: they are printed"),
)


def run(values):
    """Times each stage of a run's detector, or of the config's with random weights, on a random
    image; or an exported model as it is."""
    commands.check_pairs(values, ("checkpoint", "run_dir"))
    size = commands.size(values)
    experiment = _checked(values)
    write = commands.file_output(values)
    if values.model:
        of_tensorflow = "config", "data_dir", "batch_size", "num_classes", "threads"
        detector = commands.exported_detector(values, *of_tensorflow)
        figures = measure_exported(detector, size, values.runs)
        print("\n".join(f"{name:<12} {value}" for name, value in figures.items()))
    else:
        _use_threads(values.threads)
        detector, experiment, num_classes = _detector(values, experiment)
        figures = measure(
            detector, experiment, size, values.batch_size, num_classes, values.runs, values.threads
        )
        print(format_table(figures))
    write(json.dumps(figures, indent=1), "\nfigures")


def _checked(values):
    """The Config of --config, None beside --run_dir and --model. Raises UsageError and errors of
    configs and runs before TensorFlow starts."""
    if not values.run_dir:
        return None if values.model else commands.load_config(values)
    for name in ("config", "data_dir", "num_classes"):
        if values[name].present:
            raise UsageError(f"--{name} has no meaning beside --run_dir; give one or the other")
    commands.refuse_several_looks(values)
    commands.overrides_of_run(values)
    return None


def _use_threads(number):
    import tensorflow as tf

    if number:
        tf.config.threading.set_intra_op_parallelism_threads(number)
        tf.config.threading.set_inter_op_parallelism_threads(number)


def _detector(values, experiment):
    """(TwoStageDetector, its Config, number of foreground classes) of --run_dir, or of the Config
    `experiment` with random weights."""
    from lhrcnn.evaluation.proposals import LOOK_ONCE
    from lhrcnn.inference.predictor import load_run
    from lhrcnn.keras import keras
    from lhrcnn.models.build import arithmetic, build_detector

    if values.run_dir:
        trained = load_run(
            values.run_dir, values.checkpoint, commands.overrides_of_run(values, *LOOK_ONCE)
        )
        return trained.model, trained.config, len(trained.class_names)
    keras.utils.set_random_seed(0)
    with arithmetic(experiment.test.precision):
        detector = build_detector(experiment, values.num_classes)
    detector.fold()  # as that of a run
    return detector, experiment, values.num_classes


def measure(detector, experiment, size, batch_size, num_classes, runs, threads=0):
    """What `benchmark_stages.profile` finds for the TwoStageDetector of a Config, with the number
    of parameters, peak memory and what was run."""
    import resource

    import tensorflow as tf

    from lhrcnn.commands.benchmark_stages import profile

    image = tf.cast(
        tf.random.stateless_uniform([batch_size, *size, 3], [0, 0], 0, 256, tf.int32), tf.uint8
    )
    figures = profile(detector, image, tf.constant([size] * batch_size, tf.float32), runs)
    return {
        "backbone": experiment.model.backbone.name,
        "head": experiment.model.head.kind,
        "size": list(size),
        "batch_size": batch_size,
        "num_classes": num_classes,
        "runs": runs,
        "threads": threads or os.cpu_count(),
        "precision": experiment.test.precision,
        "tensorflow": tf.__version__,
        **figures,
        "parameters": sum(
            int(tf.size(variable)) for variable in detector.named_variables().values()
        ),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def measure_exported(detector, size, runs):
    """{name: value} of how long an ExportedDetector takes for a random image of its own size, or
    of `size` where it takes any; without decoding and resizing."""
    import numpy as np

    size = detector.fixed_size or size
    image = np.random.default_rng(0).integers(0, 256, [*size, 3]).astype(np.uint8)
    for _ in range(runs + WARM_UP):
        detector.predict(image)
    ms = 1e3 * np.asarray(detector.seconds[WARM_UP:])
    return {
        "model": detector.name,
        "runtime": detector.runtime,
        "size": "x".join(map(str, size)),
        "runs": runs,
        "median_ms": round(float(np.median(ms)), 2),
        "p90_ms": round(float(np.percentile(ms, 90)), 2),
    }


def format_table(figures):
    """The figures of `measure` as lines of text."""
    height, width = figures["size"]
    lines = [
        f"{figures['backbone']}, {figures['head']} head, "
        f"{figures['batch_size']} x {height} x {width} px, {figures['num_classes']} classes, "
        f"{figures['threads']} threads, {figures['precision']}, median of {figures['runs']} runs",
        "",
        f"{'stage':<17}{'ms':>9}{'p90':>9}{'share':>8}{'GMACs':>9}{'of GEMM':>9}"
        f"{'products alone, ms':>20}",
    ]
    for name, row in [*figures["stages"].items(), ("total", figures["total"])]:
        rate, products = (
            (f"{row['gemm_share']:.0%}", f"{row['products_ms']:.1f}") if row["gmacs"] else ("", "")
        )
        lines.append(
            f"{name:<17}{row['ms']:9.1f}{row['p90_ms']:9.1f}{row['share']:8.1%}{row['gmacs']:9.3f}{rate:>9}{products:>20}"
        )
    return "\n".join(
        [
            *lines,
            "",
            f"GEMM            {figures['gemm_gmacs_per_s']:.1f} GMACs/s, a float32 matrix product "
            "in the same run",
            f"parameters      {figures['parameters'] / 1e6:.2f} million",
            f"peak memory     {figures['peak_memory_mb']:.0f} MB of the process",
        ]
    )


COMMAND = commands.Command(
    "time of every stage of a detector, beside the machine's float32 rate", FLAGS, run
)
