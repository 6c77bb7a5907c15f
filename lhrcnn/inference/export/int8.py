"""8-bit integers for the products of an ONNX file, by onnxruntime's static quantisation.

Convolutions and fully connected layers get scales for inputs and outputs from images that are run
through the float model; what moves boxes (the deltas of both stages) and all that follows the
second stage stay float32.
"""

import pathlib
import tempfile

import numpy as np

from lhrcnn.data.decoding import read_image
from lhrcnn.inference.export.prepare import prepare

LEAST_INPUTS = 64  # of a fully connected layer
# Parts of the names of nodes that stay float32.
FLOAT = ("rpn/box", "box_map", "class_boxes", "class_scores", "locnet/", "low_pass")


def calibration_inputs(options, preprocess, accurate_jpeg=False):
    """Yields the images of options.calibration as the model takes them: uint8 [B, H, W, 3]."""
    paths = options.calibration
    for start in range(0, len(paths), options.batch_size):
        batch = [paths[k % len(paths)] for k in range(start, start + options.batch_size)]
        pixels = [read_image(path, accurate_jpeg) for path in batch]
        yield np.concatenate([prepare(image, preprocess)[0] for image in pixels])


def quantised(path, images):
    """The ONNX model in a file in 8 bits; images: input arrays uint8 [B, H, W, 3]."""
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Images(quantization.CalibrationDataReader):
        def __init__(self):
            self.left = iter(images)

        def get_next(self):
            image = next(self.left, None)
            return None if image is None else {"image": image}

    with tempfile.TemporaryDirectory() as folder:
        prepared, written = pathlib.Path(folder, "prepared.onnx"), pathlib.Path(folder, "int8.onnx")
        quant_pre_process(path, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared,
            written,
            Images(),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            op_types_to_quantize=["Conv", "MatMul"],
            nodes_to_exclude=_kept_in_float(prepared),
            per_channel=True,
            # Ranges are means over images, not the widest of all.
            extra_options={"CalibMovingAverage": True, "CalibMovingAverageConstant": 0.03},
        )
        return onnx.load(written)


def _kept_in_float(path):
    """Names of the nodes that are not quantised: those of `FLOAT`, products of two activations or
    with few weights, such as the low-pass filter of the resize, the convolution of the image, and
    those of each channel alone, whose ranges differ most."""
    import onnx

    graph = onnx.load(path).graph
    weights = {  # of convolutions [outputs, inputs of a group, height, width]
        value.name
        for value in graph.initializer
        if len(value.dims) == 4
        and value.dims[1] not in (1, 3)
        or len(value.dims) == 2
        and value.dims[0] >= LEAST_INPUTS
    }
    return [
        node.name
        for node in graph.node
        if node.op_type in ("Conv", "MatMul")
        and (
            not any(name in weights for name in node.input)
            or any(part in f"{node.name} {node.output[0]}" for part in FLOAT)
        )
    ]
