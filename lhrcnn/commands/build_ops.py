"""`lhrcnn build-ops`."""

from lhrcnn import commands

FLAGS = (
    commands.switch(
        "force", False, "build even if there is a library for this TensorFlow and these sources"
    ),
    commands.switch("verbose", False, "show the compiler's command lines"),
)


def run(values):
    """Builds the compiled ops and loads them. Raises OpBuildError, which says what is missing."""
    from lhrcnn.ops.compiled import custom_op_available, custom_op_status
    from lhrcnn.ops.compiling import build_op

    build_op(force=values.force, verbose=values.verbose)
    print(f"compiled ops: {custom_op_status()}")
    return 0 if custom_op_available() else 1


COMMAND = commands.Command("compile the RoI ops for the installed TensorFlow", FLAGS, run)
