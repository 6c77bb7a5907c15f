// The host loops over boxes and bins: what one thread does with its share.
#ifndef LHRCNN_PSROI_ALIGN_CPU_H_
#define LHRCNN_PSROI_ALIGN_CPU_H_

#include <algorithm>
#include <type_traits>
#include <vector>

#include "psroi_align.h"

namespace lhrcnn {

// The taps of some boxes: none, until they are filled.
template <typename A>
class TapBuffer {
 public:
  TapBuffer(const Params& p, int64_t num_boxes)
      : params_(p),
        box_taps_(4 * p.group_size * p.sampling_ratio),
        box_counts_(2 * p.group_size),
        taps_(num_boxes * box_taps_),
        counts_(num_boxes * box_counts_) {}

  void Fill(int64_t n, const float* box) {
    for (int task = 0; task < 2 * params_.group_size; ++task) {
      FillTaps<A>(params_, box, task, OfBox(n));
    }
  }

  void FillPoolable(const float* boxes, int64_t first, int64_t last) {
    for (int64_t n = first; n < last; ++n) {
      if (IsPoolable(boxes + 4 * n)) Fill(n, boxes + 4 * n);
    }
  }

  BinTaps<A> Bin(int64_t n, int bin) { return TapsOfBin<A>(params_, OfBox(n), bin); }

 private:
  BoxTaps<A> OfBox(int64_t n) {
    return {taps_.data() + n * box_taps_, counts_.data() + n * box_counts_};
  }

  const Params& params_;
  const int64_t box_taps_, box_counts_;
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

// Asks for the pixels per bin will read: a few bytes each of pixels far apart, which the
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
  TapBuffer<A> taps(p, 1);
  for (int64_t n = first; n < last; ++n) {
    T* out = pooled + n * box_size;
    uint8_t* winners = p.max_pool ? argmax + n * box_size : nullptr;
    if (!IsPoolable(boxes + 4 * n)) {
      std::fill_n(out, box_size, T(0));
      if (p.max_pool) std::fill_n(winners, box_size, 0);
      continue;
    }
    taps.Fill(0, boxes + 4 * n);
    const T* image = features + n / p.num_boxes * p.height * strides.row;
    for (int bin = 0; bin < NumBins(p); ++bin) {
      if (bin + 1 < NumBins(p)) {
        Prefetch(image + BinChannel(p, bin + 1), strides, taps.Bin(0, bin + 1));
      }
      const BinTaps<A> bin_taps = taps.Bin(0, bin);
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

// Adds the gradients of one image's boxes, from box `first_box` of the batch on, to the
// sums of its bins [first, first + number), which begin at `sums`, `bin_step` apart.
template <typename T, typename A, typename Channel>
void SpreadBins(const Params& p, const T* gradient, const uint8_t* argmax, TapBuffer<A>* taps,
                int64_t first_box, int first, int number, A* sums, int64_t bin_step,
                Strides<Channel> strides) {
  for (int64_t n = first_box; n < first_box + p.num_boxes; ++n) {
    for (int bin = 0; bin < number; ++bin) {
      const BinTaps<A> bin_taps = taps->Bin(n, first + bin);
      ForChannelBlocks<false>(p.channels, [&](auto width, int c) {
        A* target = sums + bin * bin_step + c * strides.channel;
        const int64_t source = (n * NumBins(p) + first + bin) * p.channels + c;
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
}

// Rounds the sums [H, W, num_bins, C] to their place in the map, where `map` is the first bin's.
template <bool kContiguous, typename T, typename A>
void RoundSums(const Params& p, const A* sums, int num_bins, T* map) {
  const auto strides = HostStrides<kContiguous>(p);
  const int width = num_bins * p.channels;
  for (int64_t pixel = 0; pixel < p.height * p.width; ++pixel) {
    const A* from = sums + pixel * width;
    T* to = map + pixel * strides.pixel;
    if constexpr (kContiguous) {
      ForChannelBlocks<true>(width, [&](auto block, int c) { Store<block>(from + c, to + c); });
    } else {
      for (int k = 0; k < width; ++k) {
        to[k / p.channels + k % p.channels * strides.channel] = static_cast<T>(from[k]);
      }
    }
  }
}

// Writes the gradient of bins [first, last) of the B*G*G, given the taps of all
// poolable boxes. A bin owns its channels, so shares never write one address, and a sum
// runs over the boxes in order however the bins are shared out: the result has the same
// bits on any number of threads. 16-bit gradients are summed apart, a row of bins at a
// time, which fits the caches, and rounded once; others in the map itself, zeros so far.
template <bool kContiguous, typename T, typename A>
void BackwardBins(const Params& p, const T* gradient, const uint8_t* argmax, TapBuffer<A>* taps,
                  T* features_gradient, int64_t first, int64_t last) {
  const auto strides = HostStrides<kContiguous>(p);
  constexpr bool kApart = !std::is_same_v<T, A>;
  std::vector<A> sums;
  for (int64_t share = first; share < last;) {
    const int64_t image = share / NumBins(p);
    const int bin = share % NumBins(p);
    const int64_t most = kApart ? p.group_size : NumBins(p);
    const int number = std::min({last - share, int64_t{NumBins(p) - bin}, most});
    T* map = features_gradient + image * p.height * strides.row + BinChannel(p, bin);
    const auto spread = [&](A* target, int64_t bin_step, auto target_strides) {
      SpreadBins(p, gradient, argmax, taps, image * p.num_boxes, bin, number, target, bin_step,
                 target_strides);
    };
    if constexpr (kApart) {
      const int64_t pixel = number * p.channels;
      sums.assign(p.height * p.width * pixel, A(0));
      spread(sums.data(), p.channels, Strides<One>{p.width * pixel, pixel, One()});
      RoundSums<kContiguous>(p, sums.data(), number, map);
    } else {
      spread(map, BinChannel(p, 1), strides);
    }
    share += number;
  }
}

}  // namespace lhrcnn

#endif  // LHRCNN_PSROI_ALIGN_CPU_H_
