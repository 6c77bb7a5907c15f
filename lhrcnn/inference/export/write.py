"""Writing a run directory in one of the `EXPORTS`: into its folder whole, or not at all."""

import os
import pathlib
import shutil
import tempfile

import tensorflow as tf

from lhrcnn.choices import resolve
from lhrcnn.errors import ExportError
from lhrcnn.inference.export import EXPORTS, Options, require_extra
from lhrcnn.inference.predictor import load_run, require_own_proposals


def export(
    run_dir,
    output,
    format="savedmodel",
    options=None,
    checkpoint="best",
    overwrite=False,
    overrides=(),
):
    """Writes the detector of a run directory into the folder `output`; returns its path.

    format: a name in `EXPORTS`, or of a plugin of the run; options: `Options`; overrides:
    `section.key=value` on the run's config, such as `test.flip=true`. A folder with content is
    replaced only if it holds this format and nothing else, and `overwrite` is set. Raises
    ExportError for a wrong option, DependencyError for a missing extra, FileExistsError for such
    a folder, OSError when it cannot be written, and what `load_run` raises."""
    output, options = pathlib.Path(os.path.abspath(output)), options or Options()
    if options.roi_impl not in ("tf", "custom"):
        raise ExportError(
            f"roi_impl: found {options.roi_impl!r}, allowed: tf (stock TensorFlow ops), custom "
            "(the compiled op)"
        )
    _check_int8(format, options)
    if format in EXPORTS:  # what is wrong shows before a model is loaded
        _check(format, output, overwrite)
    run = load_run(run_dir, checkpoint, [*overrides, f"model.head.roi_impl={options.roi_impl}"])
    _check(format, output, overwrite)
    require_own_proposals(run.config)
    staging = None
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        staging = pathlib.Path(tempfile.mkdtemp(dir=output.parent, prefix=f".{output.name}-"))
        (staging / "model").mkdir()
        resolve(EXPORTS[format].function)(run, staging / "model", options)
        _move(staging / "model", output, staging / "replaced")
    except (OSError, tf.errors.OpError) as error:
        raise OSError(_cannot_write(output, error)) from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
    return output


def _check_int8(format, options):
    """Raises ExportError where this format cannot be written in 8 bits as `Options` say."""
    if format not in EXPORTS or not (options.int8 or options.calibration):
        return
    if not EXPORTS[format].int8:
        allowed = ", ".join(name for name, entry in EXPORTS.items() if entry.int8)
        raise ExportError(f"--int8: {format} has no such form; allowed: --format {allowed}")
    if EXPORTS[format].int8 == "calibration" and not options.calibration:
        raise ExportError(f"--int8: {format} takes ranges from images: --calibrate SPLIT")


def _check(format, output, overwrite):
    """Raises ExportError or FileExistsError where this format cannot be written there."""
    if format not in EXPORTS:
        raise ExportError(f"--format: found {format!r}, allowed: {', '.join(EXPORTS)}")
    require_extra(format, EXPORTS[format].needs)
    if output.exists() and not output.is_dir():
        raise FileExistsError(f"{output}: a file of this name exists; give another output folder")
    content = sorted(os.listdir(output)) if output.exists() else []
    if content and EXPORTS[format].files[0] not in content:
        raise FileExistsError(
            f"{output}: the folder is not empty and holds no {format} "
            f"({', '.join(content[:3])}); give another one"
        )
    others = sorted(set(content) - set(EXPORTS[format].files))
    if others:
        raise FileExistsError(
            f"{output}: holds other files beside the {format} ({', '.join(others[:3])}), which are "
            "not deleted; give another folder, or move them away"
        )
    if content and not overwrite:
        raise FileExistsError(
            f"{output}: holds a {format} already; give another folder, or --overwrite to replace it"
        )


def _move(model, output, replaced):
    """Puts the finished model in the place of `output`; what was there comes back if that fails."""
    if output.exists():
        os.rename(output, replaced)
    try:
        os.rename(model, output)
    except OSError:
        if replaced.exists():
            os.rename(replaced, output)
        raise


def _cannot_write(output, error):
    reason = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
    folder = next(parent for parent in output.parents if parent.is_dir())
    free = shutil.disk_usage(folder).free / 1e6
    return (
        f"{output}: the export cannot be written: {reason}. {folder} has {free:.0f} MB free; make "
        "room, give write permission or choose another folder"
    )
