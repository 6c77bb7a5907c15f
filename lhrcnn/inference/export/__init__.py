"""What a run can be written as for use elsewhere: `EXPORTS`, a dict from the names of --format.

A format of your own is one entry, put there by a module that the run's config lists in `plugins`:

    from lhrcnn.inference.export import EXPORTS, Format

    def write_weights(run, folder, options):
        numpy.savez(folder / "weights.npz", **run.model.named_variables())

    EXPORTS["weights"] = Format("the weights alone", write_weights, files=("weights.npz",))
"""

import dataclasses
import typing


class Format(typing.NamedTuple):
    """One format of exported models.

    function(run, folder, options) writes a `predictor.LoadedRun` as files into a folder that is
    empty; options are `Options`. "module:function" is imported when used."""

    meaning: str  # one line, for help and docs
    function: typing.Any
    files: tuple[str, ...]  # what a folder of this format holds; it is known by the first of them
    takes: str = ""  # lines on how the exported model is called
    cannot: str = ""  # what the exported model cannot do, in words for its user
    extra: str = ""  # the extra of lhrcnn that has what this format needs
    needs: tuple[str, ...] = ()  # the modules of that extra


@dataclasses.dataclass(frozen=True)
class Options:
    """What can be said about an export, whatever the format."""

    roi_impl: str = "tf"  # tf: stock TensorFlow ops; custom: the compiled op
    size: typing.Optional[tuple[int, int]] = None  # height and width, px, of images of fixed size


EXPORTS = {
    "savedmodel": Format(
        "TensorFlow's SavedModel: encoded images, or batches of one size",
        "lhrcnn.inference.export.savedmodel:write_saved_model",
        files=(
            "saved_model.pb",
            "keras_metadata.pb",
            "fingerprint.pb",
            "variables",
            "assets",
            "assets.extra",
        ),
        takes=(
            "signature serving_default: image_bytes [images] string, encoded images\n"
            "signature image_tensor: image_tensor [images, height, width, 3] uint8 RGB\n"
            "signature fixed_size: image [1, height, width, 3] uint8 RGB, of --size"
        ),
        cannot="run where there is no TensorFlow",
    ),
    "onnx": Format(
        "an ONNX file for one image of --size, NMS inside; heads light and rfcn",
        "lhrcnn.inference.export.onnx:write_onnx",
        files=("model.onnx", "export.json"),
        takes="input image: [1, height, width, 3] uint8 RGB, of --size",
        cannot="decode images, or take images of another size or several at once",
        extra="onnx",
        needs=("onnx", "tf2onnx"),
    ),
}
