"""A run as an ONNX file, with resizing, normalisation and NMS inside, for images of fixed size.

Input image [B, H, W, 3] uint8 RGB; outputs as of `fixed.fixed_function`. What the model is stands
in the file's metadata and in export.json beside it.
"""

import json
import logging

from lhrcnn.errors import ExportError
from lhrcnn.inference.export.description import describe, preprocess_of, write_descriptions
from lhrcnn.inference.export.fixed import fixed_function
from lhrcnn.inference.export.int8 import calibration_inputs, quantised
from lhrcnn.ops.portable import OPERATOR

OPSET = 17


def write_onnx(run, folder, options):
    """Writes a `LoadedRun` as model.onnx into an empty folder, an entry of `EXPORTS`.

    Raises ExportError naming the option of the run that stands in the way."""
    import onnx

    for hindrance in hindrances(run.config, options):
        raise ExportError(f"--format onnx: {hindrance}")
    function = fixed_function(run, options.size, options.batch_size, "onnx")
    model, path = converted(function), folder / "model.onnx"
    precision = "int8" if options.calibration else "float32"
    description = describe(run, options, function, opset=OPSET, precision=precision)
    preprocess = preprocess_of(run, description)
    if options.calibration:
        onnx.save(model, path)
        accurate = run.config.data.accurate_jpeg
        model = quantised(path, calibration_inputs(options, preprocess, accurate))
    for key, value in description.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        model.metadata_props.add(key=key, value=text)
    onnx.save(model, path)
    write_descriptions(run, description, folder, preprocess)


def converted(function):
    """The ONNX model of a tf.function that is traced within `portable("onnx")`."""
    import onnx
    import tf2onnx

    from lhrcnn.inference.export import soft_nms

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    model, _ = tf2onnx.convert.from_function(
        function,
        function.input_signature,
        opset=OPSET,
        custom_op_handlers={OPERATOR: (_put_operator, [])},
        extra_opset=[onnx.helper.make_opsetid(soft_nms.DOMAIN, 1)],
    )
    soft_nms.put(model)
    return model


def open_onnx(folder, precision):
    """As of Format.opens: onnxruntime on the CPU, float32."""
    import onnxruntime

    del precision
    session = onnxruntime.InferenceSession(
        folder / "model.onnx", providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]

    def run(images):
        return dict(zip(names, session.run(None, {"image": images})))

    return run, f"onnxruntime {onnxruntime.__version__}, float32"


def _put_operator(graph, node, name, args):
    """Makes an ONNX operator of what `portable.onnx_operator` put into TensorFlow's graph."""
    from lhrcnn.inference.export import soft_nms

    description = json.loads(node.inputs[-1].get_tensor_value(as_list=False).item())
    node.type = description.pop("operator")
    node.domain = soft_nms.DOMAIN if node.type == soft_nms.OPERATOR else ""
    graph.replace_inputs(node, node.input[:-1])
    for key in list(node.attr):
        del node.attr[key]
    for key, value in description.items():
        node.set_attr(key, value)


def hindrances(config, options):
    """A line for each option of a Config that has no form in ONNX yet."""
    test = config.test
    checks = [
        (
            len(test.scales) == 1 and not test.flip,
            "an image is looked at once; --set test.scales=[1.0] --set test.flip=false",
        ),
        (
            test.precision == "float32",
            f"'test.precision' is {test.precision}; --set test.precision=float32",
        ),
        (options.roi_impl == "tf", "the compiled op is TensorFlow's; --roi_impl=tf"),
    ]
    return [line for fine, line in checks if not fine]
