// The host loops over boxes and bins: what one thread does with its share.
#ifndef LHRCNN_PSROI_ALIGN_CPU_H_
#define LHRCNN_PSROI_ALIGN_CPU_H_

#include <algorithm>
#include <type_traits>
#include <vector>

#include "psroi_align.h"

namespace lhrcnn {

// Room for the taps of one box; reused from box to box.
template <typename A>
class TapBuffer {
 public:
  explicit TapBuffer(const Params& p)
      : params_(p), taps_(4 * p.group_size * p.sampling_ratio), counts_(2 * p.group_size) {}

  void Fill(const float* box) {
    for (int task = 0; task < 2 * params_.group_size; ++task) {
      FillTaps<A>(params_, box, task, {taps_.data(), counts_.data()});
    }
  }

  BinTaps<A> Bin(int bin) { return TapsOfBin<A>(params_, {taps_.data(), counts_.data()}, bin); }

 private:
  const Params& params_;
  std::vector<Tap<A>> taps_;
  std::vector<int32_t> counts_;
};

// Calls body(width, first channel) with widths known to the compiler, so that
// sums stay in vector registers. With `kOverlap`, for a body that assigns and does
// not add, the last block has eight channels too, some of them once more: 16-bit
// values are quick to convert by eight only.
template <bool kOverlap, typename Body>
inline void ForChannelBlocks(int channels, Body body) {
  int c = 0;
  for (; c + 8 <= channels; c += 8) body(std::integral_constant<int, 8>(), c);
  if (kOverlap && c > 0) {
    if (c < channels) body(std::integral_constant<int, 8>(), channels - 8);
    return;
  }
  for (; c + 2 <= channels; c += 2) body(std::integral_constant<int, 2>(), c);
  if (c < channels) body(std::integral_constant<int, 1>(), c);
}

template <bool kContiguous>
inline auto HostStrides(const Params& p) {
  const Strides<int64_t> strides = StridesOf(p);
  if constexpr (kContiguous) {
    return Strides<One>{strides.row, strides.pixel, One()};
  } else {
    return strides;
  }
}

// Asks for the pixels a bin will read: a few bytes each of pixels far apart, which the
// processor does not foresee.
template <typename T, typename Channel, typename A>
inline void Prefetch(const T* features, Strides<Channel> strides, BinTaps<A> bin) {
  for (int i = 0; i < bin.num_rows; ++i) {
    const T* row = features + bin.rows[i].pixel * strides.row;
    for (int j = 0; j < bin.num_columns; ++j) {
      __builtin_prefetch(row + bin.columns[j].pixel * strides.pixel);
    }
  }
}

// Pools boxes [first, last) of the B*N.
template <bool kContiguous, typename T>
void ForwardBoxes(const Params& p, const T* features, const float* boxes, T* pooled,
                  uint8_t* argmax, int64_t first, int64_t last) {
  using A = typename AccumulatorOf<T>::type;
  const auto strides = HostStrides<kContiguous>(p);
  const int64_t box_size = strides.pixel;
  TapBuffer<A> taps(p);
  for (int64_t n = first; n < last; ++n) {
    T* out = pooled + n * box_size;
    uint8_t* winners = p.max_pool ? argmax + n * box_size : nullptr;
    if (!IsPoolable(boxes + 4 * n)) {
      std::fill_n(out, box_size, T(0));
      if (p.max_pool) std::fill_n(winners, box_size, 0);
      continue;
    }
    taps.Fill(boxes + 4 * n);
    const T* image = features + n / p.num_boxes * p.height * strides.row;
    for (int bin = 0; bin < NumBins(p); ++bin) {
      if (bin + 1 < NumBins(p)) {
        Prefetch(image + BinChannel(p, bin + 1), strides, taps.Bin(bin + 1));
      }
      const BinTaps<A> bin_taps = taps.Bin(bin);
      ForChannelBlocks<sizeof(T) == 2>(p.channels, [&](auto width, int c) {
        const T* source = image + BinChannel(p, bin) + c * strides.channel;
        const int64_t target = static_cast<int64_t>(bin) * p.channels + c;
        if (p.max_pool) {
          MaxOfBin<width>(source, strides, bin_taps, p.sampling_ratio, out + target,
                          winners + target);
        } else {
          MeanOfBin<width>(source, strides, bin_taps, out + target);
        }
      });
    }
  }
}

// Adds the gradient of bins [first, last) of the B*G*G. A bin owns its channels,
// so shares never write one address, and a sum runs over the boxes in order
// however the bins are shared out: the result has the same bits on any number
// of threads.
template <bool kContiguous, typename T>
void BackwardBins(const Params& p, const T* gradient, const float* boxes, const uint8_t* argmax,
                  typename AccumulatorOf<T>::type* features_gradient, int64_t first,
                  int64_t last) {
  using A = typename AccumulatorOf<T>::type;
  const auto strides = HostStrides<kContiguous>(p);
  TapBuffer<A> taps(p);
  for (int64_t share = first; share < last;) {
    const int64_t image = share / NumBins(p);
    const int64_t end = std::min(last, (image + 1) * NumBins(p));
    for (int64_t n = image * p.num_boxes; n < (image + 1) * p.num_boxes; ++n) {
      if (!IsPoolable(boxes + 4 * n)) continue;
      taps.Fill(boxes + 4 * n);
      for (int bin = share % NumBins(p); bin < end - image * NumBins(p); ++bin) {
        const BinTaps<A> bin_taps = taps.Bin(bin);
        ForChannelBlocks<false>(p.channels, [&](auto width, int c) {
          A* target = features_gradient + image * p.height * strides.row + BinChannel(p, bin) +
                      c * strides.channel;
          const int64_t source = n * strides.pixel + static_cast<int64_t>(bin) * p.channels + c;
          if (!p.max_pool) {
            SpreadMean<width>(gradient + source, strides, bin_taps, target, PlainAdd());
            return;
          }
          for (int k = 0; k < width; ++k) {
            SpreadMax(gradient[source + k], argmax[source + k], strides, bin_taps,
                      p.sampling_ratio, target + k * strides.channel, PlainAdd());
          }
        });
      }
    }
    share = end;
  }
}

}  // namespace lhrcnn

#endif  // LHRCNN_PSROI_ALIGN_CPU_H_
