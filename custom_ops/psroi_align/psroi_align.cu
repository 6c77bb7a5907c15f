// CUDA kernels of position-sensitive RoIAlign. No framework header is included.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <algorithm>

#include "psroi_align_launch.h"

namespace lhrcnn {
namespace {

constexpr int kForwardThreads = 256;
constexpr int kOrderedThreads = 64;  // small: a deterministic sum has few threads to spread
#ifndef LHRCNN_MAX_BLOCKS
#define LHRCNN_MAX_BLOCKS (1 << 20)
#endif
constexpr int64_t kMaxBlocks = LHRCNN_MAX_BLOCKS;  // more boxes share blocks

size_t TapBytes(const Params& p, size_t tap_size) {
  return 4 * p.group_size * p.sampling_ratio * tap_size + 2 * p.group_size * sizeof(int32_t);
}

template <typename A>
__device__ BoxTaps<A> SharedTaps(const Params& p) {
  extern __shared__ __align__(16) unsigned char shared_memory[];
  Tap<A>* taps = reinterpret_cast<Tap<A>*>(shared_memory);
  return {taps, reinterpret_cast<int32_t*>(taps + 4 * p.group_size * p.sampling_ratio)};
}

// The threads of a block fill the taps of one box together.
template <typename A>
__device__ void FillSharedTaps(const Params& p, const float* box, BoxTaps<A> taps) {
  __syncthreads();  // the taps of the previous box are no longer read
  for (int task = threadIdx.x; task < 2 * p.group_size; task += blockDim.x) {
    FillTaps<A>(p, box, task, taps);
  }
  __syncthreads();
}

// One block per box; neighbouring threads read neighbouring channels.
template <typename T>
__global__ void ForwardKernel(Params p, const T* __restrict__ features,
                              const float* __restrict__ boxes, T* __restrict__ pooled,
                              uint8_t* __restrict__ argmax) {
  using A = typename AccumulatorOf<T>::type;
  const Strides<int64_t> strides = StridesOf(p);
  const BoxTaps<A> taps = SharedTaps<A>(p);
  for (int64_t n = blockIdx.x; n < p.batch * p.num_boxes; n += gridDim.x) {
    const bool poolable = IsPoolable(boxes + 4 * n);
    if (poolable) FillSharedTaps<A>(p, boxes + 4 * n, taps);
    const T* image = features + n / p.num_boxes * p.height * strides.row;
    for (int element = threadIdx.x; element < strides.pixel; element += blockDim.x) {
      const int64_t target = n * strides.pixel + element;
      if (!poolable) {
        pooled[target] = static_cast<T>(0.0f);
        if (p.max_pool) argmax[target] = 0;
        continue;
      }
      const int bin = element / p.channels;
      const T* source =
          image + BinChannel(p, bin) + element % p.channels * strides.channel;
      const BinTaps<A> bin_taps = TapsOfBin<A>(p, taps, bin);
      if (p.max_pool) {
        MaxOfBin<1>(source, strides, bin_taps, p.sampling_ratio, pooled + target,
                    argmax + target);
      } else {
        MeanOfBin<1>(source, strides, bin_taps, pooled + target);
      }
    }
  }
}

// blockIdx.x is a run of `boxes_per_block` boxes of one image, blockIdx.y a part
// of the channels. A run of all boxes makes every address one thread's own.
template <typename T, typename A>
__global__ void BackwardKernel(Params p, const T* __restrict__ gradient,
                               const float* __restrict__ boxes,
                               const uint8_t* __restrict__ argmax, A* features_gradient,
                               int64_t boxes_per_block, bool atomic) {
  const Strides<int64_t> strides = StridesOf(p);
  const BoxTaps<A> taps = SharedTaps<A>(p);
  const auto add = [atomic](A* address, A value) {
    if (atomic) {
      atomicAdd(address, value);
    } else {
      PlainAdd()(address, value);
    }
  };
  const int64_t runs = p.batch * p.num_boxes / boxes_per_block;
  for (int64_t run = blockIdx.x; run < runs; run += gridDim.x) {
    const int64_t first = run * boxes_per_block;
    A* image = features_gradient + first / p.num_boxes * p.height * strides.row;
    for (int64_t n = first; n < first + boxes_per_block; ++n) {
      if (!IsPoolable(boxes + 4 * n)) continue;
      FillSharedTaps<A>(p, boxes + 4 * n, taps);
      for (int element = blockIdx.y * blockDim.x + threadIdx.x; element < strides.pixel;
           element += gridDim.y * blockDim.x) {
        const int64_t source = n * strides.pixel + element;
        const int bin = element / p.channels;
        A* target = image + BinChannel(p, bin) + element % p.channels * strides.channel;
        const BinTaps<A> bin_taps = TapsOfBin<A>(p, taps, bin);
        if (p.max_pool) {
          SpreadMax(gradient[source], argmax[source], strides, bin_taps, p.sampling_ratio,
                    target, add);
        } else {
          SpreadMean<1>(gradient + source, strides, bin_taps, target, add);
        }
      }
    }
  }
}

template <typename T>
__global__ void ConvertKernel(const float* __restrict__ from, T* __restrict__ to, int64_t size) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; i < size;
       i += stride) {
    to[i] = static_cast<T>(from[i]);
  }
}

int64_t FeatureSize(const Params& p) { return p.batch * p.height * StridesOf(p).row; }

template <typename T>
cudaError_t Forward(const Params& p, const void* features, const float* boxes, void* pooled,
                    uint8_t* argmax, cudaStream_t stream) {
  using A = typename AccumulatorOf<T>::type;
  const int64_t blocks = std::min(p.batch * p.num_boxes, kMaxBlocks);
  if (blocks == 0) return cudaSuccess;
  ForwardKernel<T><<<blocks, kForwardThreads, TapBytes(p, sizeof(Tap<A>)), stream>>>(
      p, static_cast<const T*>(features), boxes, static_cast<T*>(pooled), argmax);
  return cudaGetLastError();
}

template <typename T>
cudaError_t Backward(const Params& p, const void* gradient, const float* boxes,
                     const uint8_t* argmax, void* accumulator, void* features_gradient,
                     bool deterministic, cudaStream_t stream) {
  using A = typename AccumulatorOf<T>::type;
  const int64_t size = FeatureSize(p);
  if (size == 0) return cudaSuccess;
  const cudaError_t cleared = cudaMemsetAsync(accumulator, 0, size * sizeof(A), stream);
  if (cleared != cudaSuccess) return cleared;
  if (p.num_boxes > 0) {
    const int64_t per_block = deterministic ? p.num_boxes : 1;
    const int threads = deterministic ? kOrderedThreads : kForwardThreads;
    const int64_t parts = deterministic ? (StridesOf(p).pixel + threads - 1) / threads : 1;
    const dim3 grid(std::min(p.batch * p.num_boxes / per_block, kMaxBlocks),
                    std::min<int64_t>(parts, 65535));
    BackwardKernel<T, A><<<grid, threads, TapBytes(p, sizeof(Tap<A>)), stream>>>(
        p, static_cast<const T*>(gradient), boxes, argmax, static_cast<A*>(accumulator),
        per_block, !deterministic);
  }
  if (sizeof(T) < sizeof(A)) {
    const int64_t blocks = std::min((size + 255) / 256, kMaxBlocks);
    ConvertKernel<T><<<blocks, 256, 0, stream>>>(static_cast<const float*>(accumulator),
                                                 static_cast<T*>(features_gradient), size);
  }
  return cudaGetLastError();
}

}  // namespace
}  // namespace lhrcnn

extern "C" int LhrcnnPsRoiAlignForward(const LhrcnnPsRoiAlignParams* params, int data_type,
                                       const void* features, const float* boxes, void* pooled,
                                       uint8_t* argmax, void* stream) {
  const auto run = [&](auto forward) {
    return forward(*params, features, boxes, pooled, argmax, static_cast<cudaStream_t>(stream));
  };
  switch (data_type) {
    case LHRCNN_FLOAT32: return run(lhrcnn::Forward<float>);
    case LHRCNN_FLOAT64: return run(lhrcnn::Forward<double>);
    case LHRCNN_FLOAT16: return run(lhrcnn::Forward<__half>);
    case LHRCNN_BFLOAT16: return run(lhrcnn::Forward<__nv_bfloat16>);
  }
  return cudaErrorInvalidValue;
}

extern "C" int LhrcnnPsRoiAlignBackward(const LhrcnnPsRoiAlignParams* params, int data_type,
                                        const void* gradient, const float* boxes,
                                        const uint8_t* argmax, void* accumulator,
                                        void* features_gradient, int deterministic,
                                        void* stream) {
  const auto run = [&](auto backward) {
    return backward(*params, gradient, boxes, argmax, accumulator, features_gradient,
                    deterministic != 0, static_cast<cudaStream_t>(stream));
  };
  switch (data_type) {
    case LHRCNN_FLOAT32: return run(lhrcnn::Backward<float>);
    case LHRCNN_FLOAT64: return run(lhrcnn::Backward<double>);
    case LHRCNN_FLOAT16: return run(lhrcnn::Backward<__half>);
    case LHRCNN_BFLOAT16: return run(lhrcnn::Backward<__nv_bfloat16>);
  }
  return cudaErrorInvalidValue;
}

extern "C" int LhrcnnPsRoiAlignProbe(void) {
  cudaFuncAttributes attributes;
  return cudaFuncGetAttributes(&attributes, lhrcnn::ForwardKernel<float>);
}

extern "C" const char* LhrcnnPsRoiAlignErrorName(int error) {
  return cudaGetErrorName(static_cast<cudaError_t>(error));
}

#ifdef LHRCNN_HOST_CHECK
#include "psroi_align_cpu.h"

// The host arithmetic behind the same interface, in float64, to compare with.
extern "C" void LhrcnnPsRoiAlignForwardHost(const LhrcnnPsRoiAlignParams* params,
                                            const double* features, const float* boxes,
                                            double* pooled, uint8_t* argmax) {
  lhrcnn::ForwardBoxes<false>(*params, features, boxes, pooled, argmax, 0,
                              params->batch * params->num_boxes);
}

extern "C" void LhrcnnPsRoiAlignBackwardHost(const LhrcnnPsRoiAlignParams* params,
                                             const double* gradient, const float* boxes,
                                             const uint8_t* argmax, double* features_gradient) {
  const int64_t num_boxes = params->batch * params->num_boxes;
  lhrcnn::TapBuffer<double> taps(*params, num_boxes);
  taps.FillPoolable(boxes, 0, num_boxes);
  lhrcnn::BackwardBins<false>(*params, gradient, argmax, &taps, features_gradient, 0,
                              params->batch * lhrcnn::NumBins(*params));
}
#endif  // LHRCNN_HOST_CHECK
