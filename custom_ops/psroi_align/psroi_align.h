// Position-sensitive RoIAlign: the arithmetic, once, for host and device.
//
// A box is cut into G x G bins; bin b of a box reads its own C channels of the
// G*G*C feature channels, at S x S bilinear samples, and keeps their mean or
// their maximum. R-FCN (Dai et al. 2016, section 2.2) has the position-sensitive
// bins, Mask R-CNN (He et al. 2017, section 3) the bilinear samples.
//
// Letters: B images, H W rows and columns of the map, N boxes, G group size,
// S sampling ratio, C channels per bin.
#ifndef LHRCNN_PSROI_ALIGN_H_
#define LHRCNN_PSROI_ALIGN_H_

#include <cfloat>
#include <cmath>
#include <cstdint>
#include <type_traits>

#ifdef __CUDACC__
#define LHRCNN_HD __host__ __device__ __forceinline__
#else
#include "Eigen/Core"
#define LHRCNN_HD inline __attribute__((always_inline))
#endif

extern "C" {

enum LhrcnnDataType {
  LHRCNN_FLOAT32 = 0,
  LHRCNN_FLOAT64 = 1,
  LHRCNN_FLOAT16 = 2,
  LHRCNN_BFLOAT16 = 3,
};

struct LhrcnnPsRoiAlignParams {
  int64_t batch, height, width;  // features [B, H, W, G*G*C]
  int64_t num_boxes;             // boxes [B, N, 4], float32 (ymin, xmin, ymax, xmax)
  int32_t channels;              // C
  int32_t group_size, sampling_ratio;
  float spatial_scale;    // map cells per box pixel
  int32_t aligned;        // 1: shift the box by half a cell
  int32_t max_pool;       // 0: mean of the samples, 1: their maximum
  int32_t channel_major;  // 0: channel = bin*C + c, 1: channel = c*G*G + bin
};

}  // extern "C"

namespace lhrcnn {

using Params = LhrcnnPsRoiAlignParams;

// An argmax is one byte, and the taps of a box must fit a thread block's 48 KiB.
constexpr int kMaxSamplingRatio = 16;
constexpr int kMaxGroupSize = 32;

template <typename T>
struct AccumulatorOf {
  using type = float;
};
template <>
struct AccumulatorOf<double> {
  using type = double;
};

// Steps from value to value. `Channel` is One where the channels of a bin are
// neighbours and the compiler should know.
using One = std::integral_constant<int64_t, 1>;
template <typename Channel>
struct Strides {
  int64_t row, pixel;
  Channel channel;
};

LHRCNN_HD int NumBins(const Params& p) { return p.group_size * p.group_size; }

LHRCNN_HD Strides<int64_t> StridesOf(const Params& p) {
  const int64_t pixel = static_cast<int64_t>(NumBins(p)) * p.channels;
  return {p.width * pixel, pixel, p.channel_major ? NumBins(p) : 1};
}

LHRCNN_HD int64_t BinChannel(const Params& p, int bin) {
  return p.channel_major ? bin : static_cast<int64_t>(bin) * p.channels;
}

// One pixel index along one axis and its weight.
template <typename A>
struct Tap {
  int32_t pixel;
  A weight;
};

// The taps of all bins of one box: [rows then columns, G, 2*S], and how many of
// the 2*S are in use: [rows then columns, G].
template <typename A>
struct BoxTaps {
  Tap<A>* taps;
  int32_t* counts;
};

// The taps of one bin: its samples are the product of rows and columns.
template <typename A>
struct BinTaps {
  const Tap<A>* rows;
  const Tap<A>* columns;
  int num_rows, num_columns;
};

// False for a box that pools nothing: a coordinate that is not finite, or no
// extent. NaN fails every comparison, so it needs no test of its own.
LHRCNN_HD bool IsPoolable(const float* box) {
  for (int i = 0; i < 4; ++i) {
    if (!(box[i] >= -FLT_MAX && box[i] <= FLT_MAX)) return false;
  }
  return box[2] > box[0] && box[3] > box[1];
}

// Writes the two bilinear taps of one sample: floor and floor + 1. A tap outside
// the map weighs 0. A tap that weighs 0 names its partner's pixel: safe to read,
// and no NaN comes in from a neighbour. The comparison comes before the
// conversion: 1e30 does not fit an integer, and NaN has no floor.
template <typename A>
LHRCNN_HD void SampleTaps(A position, int64_t size, Tap<A> taps[2]) {
  taps[0] = taps[1] = {0, A(0)};
  if (!(position > A(-1) && position < static_cast<A>(size))) return;
  const A low = std::floor(position);
  const A t = position - low;
  const int32_t pixel = static_cast<int32_t>(low);
  const bool has_low = pixel >= 0, has_high = pixel + 1 < size && t > A(0);
  taps[0] = {has_low ? pixel : pixel + 1, has_low ? A(1) - t : A(0)};
  taps[1] = {has_high ? pixel + 1 : pixel, has_high ? t : A(0)};
}

// Appends a tap, summing weights that meet on one pixel. Samples come in
// ascending order, so only the last two entries can match.
template <typename A>
LHRCNN_HD int MergeTap(Tap<A> tap, Tap<A>* taps, int count) {
  if (tap.weight == A(0)) return count;
  for (int i = count - 1; i >= 0 && i >= count - 2; --i) {
    if (taps[i].pixel == tap.pixel) {
      taps[i].weight += tap.weight;
      return count;
    }
  }
  taps[count] = tap;
  return count + 1;
}

// Fills the taps of one bin along one axis; `task` < G is a row of bins, the
// rest are columns. Mean: merged taps whose weights include the 1/S. Maximum:
// two taps for each sample, in order.
template <typename A>
LHRCNN_HD void FillTaps(const Params& p, const float* box, int task, BoxTaps<A> out) {
  const int axis = task < p.group_size ? 0 : 1;
  const int bin = task - axis * p.group_size;
  const int samples = p.sampling_ratio;
  const A scale = p.spatial_scale, shift = p.aligned ? A(0.5) : A(0);
  const A start = box[axis] * scale - shift;
  const A bin_size = (box[axis + 2] * scale - shift - start) / p.group_size;
  Tap<A>* taps = out.taps + static_cast<int64_t>(task) * 2 * samples;
  int count = 0;
  for (int s = 0; s < samples; ++s) {
    Tap<A> pair[2];
    const A position = start + bin_size * (bin + (s + A(0.5)) / samples);
    SampleTaps(position, axis == 0 ? p.height : p.width, pair);
    for (int k = 0; k < 2; ++k) {
      if (p.max_pool) {
        taps[count++] = pair[k];
      } else {
        pair[k].weight /= samples;
        count = MergeTap(pair[k], taps, count);
      }
    }
  }
  out.counts[task] = count;
}

template <typename A>
LHRCNN_HD BinTaps<A> TapsOfBin(const Params& p, BoxTaps<A> box, int bin) {
  const int row = bin / p.group_size, column = p.group_size + bin % p.group_size;
  const int stride = 2 * p.sampling_ratio;
  return {box.taps + row * stride, box.taps + column * stride, box.counts[row],
          box.counts[column]};
}

// Reads `Width` values, `stride` apart, as A. On the host, Eigen converts
// neighbouring 16-bit numbers by vectors, which the compiler does not.
template <int Width, typename T, typename Channel, typename A>
LHRCNN_HD void Load(const T* values, Channel stride, A* out) {
#ifndef __CUDACC__
  if constexpr (sizeof(T) == 2 && std::is_same_v<Channel, One>) {
    Eigen::Map<Eigen::Array<A, Width, 1>>{out} =
        Eigen::Map<const Eigen::Array<T, Width, 1>>(values).template cast<A>();
    return;
  }
#endif
  for (int c = 0; c < Width; ++c) out[c] = static_cast<A>(values[c * stride]);
}

// The opposite of Load, to neighbouring values.
template <int Width, typename T, typename A>
LHRCNN_HD void Store(const A* values, T* out) {
#ifndef __CUDACC__
  if constexpr (sizeof(T) == 2) {
    Eigen::Map<Eigen::Array<T, Width, 1>>{out} =
        Eigen::Map<const Eigen::Array<A, Width, 1>>(values).template cast<T>();
    return;
  }
#endif
  for (int c = 0; c < Width; ++c) out[c] = static_cast<T>(values[c]);
}

// `features` points at the bin's first channel of pixel (0, 0) of the image;
// `Width` channels are done together, in registers.
template <int Width, typename T, typename Channel, typename A>
LHRCNN_HD void MeanOfBin(const T* features, Strides<Channel> strides, BinTaps<A> bin, T* out) {
  A sum[Width] = {};
  for (int i = 0; i < bin.num_rows; ++i) {
    const T* row = features + bin.rows[i].pixel * strides.row;
    for (int j = 0; j < bin.num_columns; ++j) {
      const T* pixel = row + bin.columns[j].pixel * strides.pixel;
      const A weight = bin.rows[i].weight * bin.columns[j].weight;
      A value[Width];
      Load<Width>(pixel, strides.channel, value);
      for (int c = 0; c < Width; ++c) sum[c] += weight * value[c];
    }
  }
  Store<Width>(sum, out);
}

// The four pixels of sample (i, j) of a bin, as offsets from pixel (0, 0).
template <typename A>
struct Corners {
  int64_t offset[4];
  A weight[4];
};

// False if the sample lies outside the map.
template <typename Channel, typename A>
LHRCNN_HD bool SampleCorners(Strides<Channel> strides, BinTaps<A> bin, int i, int j,
                             Corners<A>* out) {
  const Tap<A>* rows = bin.rows + 2 * i;
  const Tap<A>* columns = bin.columns + 2 * j;
  for (int k = 0; k < 4; ++k) {
    out->offset[k] = rows[k / 2].pixel * strides.row + columns[k % 2].pixel * strides.pixel;
    out->weight[k] = rows[k / 2].weight * columns[k % 2].weight;
  }
  return rows[0].weight + rows[1].weight > A(0) && columns[0].weight + columns[1].weight > A(0);
}

// The values of sample (i, j); a sample outside the map is worth 0.
template <int Width, typename T, typename Channel, typename A>
LHRCNN_HD void ReadSample(const T* features, Strides<Channel> strides, BinTaps<A> bin, int i,
                          int j, A* value) {
  Corners<A> corners;
  const bool inside = SampleCorners(strides, bin, i, j, &corners);
  for (int c = 0; c < Width; ++c) {
    value[c] = A(0);
    if (!inside) continue;
    for (int k = 0; k < 4; ++k) {
      const int64_t offset = corners.offset[k] + c * strides.channel;
      value[c] += corners.weight[k] * static_cast<A>(features[offset]);
    }
  }
}

// The first of equal samples wins.
template <int Width, typename T, typename Channel, typename A>
LHRCNN_HD void MaxOfBin(const T* features, Strides<Channel> strides, BinTaps<A> bin, int samples,
                        T* out, uint8_t* argmax) {
  A best[Width], value[Width];
  int32_t index[Width] = {};
  ReadSample<Width>(features, strides, bin, 0, 0, best);
  for (int i = 0; i < samples; ++i) {
    for (int j = i == 0 ? 1 : 0; j < samples; ++j) {
      ReadSample<Width>(features, strides, bin, i, j, value);
      for (int c = 0; c < Width; ++c) {
        const bool better = value[c] > best[c];
        best[c] = better ? value[c] : best[c];
        index[c] = better ? i * samples + j : index[c];
      }
    }
  }
  for (int c = 0; c < Width; ++c) {
    out[c] = static_cast<T>(best[c]);
    argmax[c] = static_cast<uint8_t>(index[c]);
  }
}

struct PlainAdd {
  template <typename A>
  LHRCNN_HD void operator()(A* address, A value) const {
    *address += value;
  }
};

// The transpose of MeanOfBin: add(address, value) accumulates.
template <int Width, typename T, typename Channel, typename A, typename Add>
LHRCNN_HD void SpreadMean(const T* gradient, Strides<Channel> strides, BinTaps<A> bin,
                          A* features_gradient, Add add) {
  A local[Width];
  Load<Width>(gradient, One(), local);
  for (int i = 0; i < bin.num_rows; ++i) {
    A* row = features_gradient + bin.rows[i].pixel * strides.row;
    for (int j = 0; j < bin.num_columns; ++j) {
      A* pixel = row + bin.columns[j].pixel * strides.pixel;
      const A weight = bin.rows[i].weight * bin.columns[j].weight;
      for (int c = 0; c < Width; ++c) {
        add(pixel + c * strides.channel, weight * local[c]);
      }
    }
  }
}

// The gradient of a maximum goes to its sample alone; no sample has an argmax too large.
template <typename T, typename Channel, typename A, typename Add>
LHRCNN_HD void SpreadMax(T gradient, uint8_t argmax, Strides<Channel> strides, BinTaps<A> bin,
                         int samples, A* features_gradient, Add add) {
  Corners<A> corners;
  if (argmax >= samples * samples) return;
  if (!SampleCorners(strides, bin, argmax / samples, argmax % samples, &corners)) return;
  for (int k = 0; k < 4; ++k) {
    add(features_gradient + corners.offset[k], corners.weight[k] * static_cast<A>(gradient));
  }
}

}  // namespace lhrcnn

#endif  // LHRCNN_PSROI_ALIGN_H_
