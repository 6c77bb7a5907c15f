// The plain C interface of the CUDA kernels: for any framework that has device
// pointers and a stream. Every function returns a cudaError code, 0 for success,
// and none of them waits for the device.
#ifndef LHRCNN_PSROI_ALIGN_LAUNCH_H_
#define LHRCNN_PSROI_ALIGN_LAUNCH_H_

#include "psroi_align.h"

extern "C" {

// features [B, H, W, G*G*C] and boxes [B, N, 4] -> pooled [B, N, G, G, C] and,
// for the maximum only, argmax of the same shape. `stream` is a cudaStream_t.
int LhrcnnPsRoiAlignForward(const LhrcnnPsRoiAlignParams* params, int data_type,
                            const void* features, const float* boxes, void* pooled,
                            uint8_t* argmax, void* stream);

// gradient [B, N, G, G, C] -> features_gradient [B, H, W, G*G*C]. `accumulator`
// has the shape of features_gradient, in float32 for the 16-bit types; for
// float32 and float64 it is features_gradient itself. With `deterministic` one
// thread owns a channel and adds box after box; without, boxes run at once and
// their atomic additions meet in any order.
int LhrcnnPsRoiAlignBackward(const LhrcnnPsRoiAlignParams* params, int data_type,
                             const void* gradient, const float* boxes, const uint8_t* argmax,
                             void* accumulator, void* features_gradient, int deterministic,
                             void* stream);

// Whether this machine's driver and GPU can run the kernels of this library.
int LhrcnnPsRoiAlignProbe(void);

const char* LhrcnnPsRoiAlignErrorName(int error);

}  // extern "C"

#endif  // LHRCNN_PSROI_ALIGN_LAUNCH_H_
