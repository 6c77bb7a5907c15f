#!/bin/bash
# All checks of the CUDA kernels that need a GPU, in at most 8 minutes; prints their tables.
# Needs nvcc, compute-sanitizer (CUDA toolkit), PyTorch with CUDA and torchvision. Status 0: all held.
cd "$(dirname "$0")" || exit 2
status=0
check() {
    echo "== $*"
    timeout "$@" || status=1
}
check 90 python check_launcher.py
check 150 compute-sanitizer --tool memcheck --error-exitcode 1 python check_launcher.py --few
check 150 compute-sanitizer --tool racecheck --error-exitcode 1 python check_launcher.py --few
check 90 python time_gpu.py
exit $status
