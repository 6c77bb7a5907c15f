"""Evaluates a trained detector, or detections made elsewhere; the same as `lhrcnn eval`.

`python eval_main.py --help` lists the flags.
"""

import sys

from lhrcnn import cli

if __name__ == "__main__":
    sys.exit(cli.main(["eval", *sys.argv[1:]]))
