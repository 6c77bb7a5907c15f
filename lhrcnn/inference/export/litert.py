"""A run as a LiteRT file (TensorFlow Lite), with NMS inside, for images of fixed size.

Input image [B, H, W, 3] uint8 RGB; outputs as of `fixed.fixed_function`, by name in the file's one
signature. Only LiteRT's own operators are used: its runtime needs no TensorFlow.
"""

import os
import tempfile

import tensorflow as tf

from lhrcnn.errors import ExportError
from lhrcnn.inference.export.description import describe, preprocess_of, write_descriptions
from lhrcnn.inference.export.fixed import fixed_function
from lhrcnn.inference.export.onnx import hindrances


def write_litert(run, folder, options):
    """Writes a `LoadedRun` as model.tflite into an empty folder, an entry of `EXPORTS`.

    Raises ExportError naming the option of the run that stands in the way."""
    for hindrance in [*hindrances(run.config, options), *_hindrances(run.config.model)]:
        raise ExportError(f"--format litert: {hindrance}")
    function = fixed_function(run, options.size, options.batch_size, "litert")
    model = converted(function, run.model.named_variables(), options.int8)
    (folder / "model.tflite").write_bytes(model)
    precision = "int8" if options.int8 else "float32"
    description = describe(run, options, function, precision=precision)
    write_descriptions(run, description, folder, preprocess_of(run, description))


def converted(function, variables, int8=False):
    """The bytes of a LiteRT file of a tf.function traced within `portable("litert")`.

    int8: weights in 8 bits, and the inputs of products with the range of each input; all else,
    such as the arithmetic of boxes, stays float32, which the converter does not offer for ranges
    of calibration images. Raises ExportError naming the operators that LiteRT does not have."""
    module = tf.Module()
    module.function, module.kept = function, list(variables.values())
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=function)
        try:
            converter = tf.lite.TFLiteConverter.from_saved_model(folder)
            converter.optimizations = [tf.lite.Optimize.DEFAULT] if int8 else []
            return converter.convert()
        except Exception as error:  # the converter's own kinds of errors are not public
            lines = [line for line in str(error).splitlines() if "ops:" in line]
            reason = lines[-1].strip() if lines else str(error).splitlines()[0]
            raise ExportError(f"--format litert: it cannot be converted: {reason}") from error


def _hindrances(model):
    """A line for each option of a ModelConfig that has no form in LiteRT."""
    head = model.head
    if head.kind in ("fc", "stage5"):
        yield (
            f"'model.head.kind' is {head.kind}, whose RoIAlign and RoIPool LiteRT has no form for; "
            "it can take light and rfcn"
        )
    if head.localisation != "box":
        yield (
            f"'model.head.localisation' is {head.localisation}, whose RoIAlign LiteRT has no form "
            "for; --set model.head.localisation=box"
        )


def open_litert(folder, precision):
    """As of Format.opens: LiteRT on the CPU, float32."""
    from ai_edge_litert import interpreter

    del precision
    model = interpreter.Interpreter(str(folder / "model.tflite"), num_threads=os.cpu_count())
    runner = model.get_signature_runner()
    return lambda images: runner(image=images), "LiteRT, float32"
