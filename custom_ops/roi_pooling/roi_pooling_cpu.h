// RoIAlign and RoIPool on the host: a box is cut into P x P bins, and a bin is the
// mean of bilinear samples (Mask R-CNN, He et al. 2017, section 3) or the maximum
// of pixels (Fast R-CNN, Girshick 2015, section 2.1).
//
// Letters: B images, H W rows and columns of the map, C channels, N boxes, P bins
// along a side.
#ifndef LHRCNN_ROI_POOLING_CPU_H_
#define LHRCNN_ROI_POOLING_CPU_H_

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace lhrcnn {
namespace roi_pooling {

// Along a side of a bin or of a box, of which the loops are as long; of a map, whose
// rows and columns are whole numbers in float32.
constexpr int kMaxSamples = 1024, kMaxBins = 1024;
constexpr int64_t kMaxCells = int64_t{1} << 24;

struct Params {
  int64_t batch, height, width, channels;  // features [B, H, W, C]
  int64_t num_boxes;                       // boxes [B, N, 4], (ymin, xmin, ymax, xmax)
  int32_t size;                            // P
  float spatial_scale;                     // map cells per box pixel
  int32_t sampling_ratio;  // samples along a side of a bin; 0: as many as it has cells
  bool aligned;            // shift the box by half a cell
};

template <typename T>
using Accumulator = std::conditional_t<std::is_same<T, double>::value, double, float>;

// False for a box that pools nothing: a coordinate that is not finite, or no
// extent. NaN fails every comparison, so it needs no test of its own.
inline bool IsPoolable(const float* box) {
  for (int i = 0; i < 4; ++i) {
    if (!(std::abs(box[i]) <= FLT_MAX)) return false;
  }
  return box[2] > box[0] && box[3] > box[1];
}

template <typename A>
A Clamp(A value, A limit) {
  return std::min(std::max(value, -limit), limit);
}

// One of the pixels along an axis that a box reads, as a position in its list of
// them, and the pixel's weight in a bin.
template <typename A>
struct Tap {
  size_t slot;
  A weight;
};

// The taps of one bin along one axis.
template <typename A>
struct BinTaps {
  const Tap<A>*first, *last;
  const Tap<A>* begin() const { return first; }
  const Tap<A>* end() const { return last; }
};

// The taps of all bins of a box along one axis.
template <typename A>
class AxisTaps {
 public:
  // The order of the operations is torchvision's, for the same rounding.
  void Read(const Params& p, const float* box, int axis) {
    const int64_t size = axis == 0 ? p.height : p.width;
    const A scale = p.spatial_scale, shift = p.aligned ? A(0.5) : A(0);
    const A start = Clamp<A>(box[axis] * scale, 1e30) - shift;
    A length = Clamp<A>(box[axis + 2] * scale, 1e30) - shift - start;
    if (!p.aligned) length = std::max(length, A(1));
    const A bin_size = length / p.size;
    const A samples = p.sampling_ratio > 0 ? A(p.sampling_ratio) : std::ceil(bin_size);
    // Adaptive samples lie more than half a cell apart: no more of them touch the map.
    const int64_t most = p.sampling_ratio > 0 ? p.sampling_ratio : 2 * size + 8;
    pixels_.clear();
    taps_.clear();
    ends_.assign(1, 0);
    for (int bin = 0; bin < p.size; ++bin) {
      const A origin = start + bin * bin_size;
      const A before = std::floor((-1 - origin) * samples / bin_size) - 1;
      const A first = std::max(A(0), before);  // also for a NaN
      for (int64_t i = 0; i < most && first + i < samples; ++i) {
        const A position = origin + (first + i + A(0.5)) * bin_size / samples;
        if (!(position <= size)) break;
        if (position >= -1) AddSample(position, size, samples);
      }
      ends_.push_back(taps_.size());
    }
  }

  const std::vector<int64_t>& pixels() const { return pixels_; }

  BinTaps<A> operator[](int bin) const {
    return {taps_.data() + ends_[bin], taps_.data() + ends_[bin + 1]};
  }

 private:
  void AddSample(A position, int64_t size, A samples) {
    position = std::min(std::max(position, A(0)), A(size - 1));
    const int64_t low = static_cast<int64_t>(position);
    const A t = position - low;
    AddTap(low, (1 - t) / samples);
    if (t > 0) AddTap(low + 1, t / samples);
  }

  // Samples ascend: a pixel seen before is one of the last two.
  void AddTap(int64_t pixel, A weight) {
    size_t slot = pixels_.size() - std::min<size_t>(pixels_.size(), 2);
    while (slot < pixels_.size() && pixels_[slot] != pixel) ++slot;
    if (slot == pixels_.size()) pixels_.push_back(pixel);
    size_t tap = taps_.size() - std::min<size_t>(taps_.size() - ends_.back(), 2);
    while (tap < taps_.size() && taps_[tap].slot != slot) ++tap;
    if (tap == taps_.size()) taps_.push_back({slot, A(0)});
    taps_[tap].weight += weight;
  }

  std::vector<int64_t> pixels_;
  std::vector<Tap<A>> taps_;
  std::vector<size_t> ends_;
};

// The mean of samples is separable: a row of bins first adds up its rows of pixels
// to one, which its bins then read.
template <typename T>
class Align {
 public:
  using A = Accumulator<T>;

  explicit Align(const Params& p) : p_(p) {}

  void Read(const float* box) {
    rows_.Read(p_, box, 0);
    columns_.Read(p_, box, 1);
  }

  // features [H, W, C] of one image -> pooled [P, P, C].
  void Forward(const T* features, T* pooled) {
    const int64_t channels = p_.channels;
    for (int i = 0; i < p_.size; ++i) {
      row_.assign(columns_.pixels().size() * channels, A(0));
      for (const Tap<A>& tap : rows_[i]) {
        for (size_t slot = 0; slot < columns_.pixels().size(); ++slot) {
          const int64_t pixel = rows_.pixels()[tap.slot] * p_.width + columns_.pixels()[slot];
          Add(tap.weight, features + pixel * channels, channels, row_.data() + slot * channels);
        }
      }
      for (int j = 0; j < p_.size; ++j, pooled += channels) {
        bin_.assign(channels, A(0));
        for (const Tap<A>& tap : columns_[j]) {
          Add(tap.weight, row_.data() + tap.slot * channels, channels, bin_.data());
        }
        for (int64_t c = 0; c < channels; ++c) pooled[c] = static_cast<T>(bin_[c]);
      }
    }
  }

  // The transpose; adds to the rows [first_row, end_row) of gradient [H, W, C].
  void Backward(const T*, const T* pooled_gradient, int64_t first_row, int64_t end_row,
                A* gradient) {
    const int64_t channels = p_.channels;
    for (int i = 0; i < p_.size; ++i) {
      const auto is_mine = [&](const Tap<A>& tap) {
        return rows_.pixels()[tap.slot] >= first_row && rows_.pixels()[tap.slot] < end_row;
      };
      if (std::none_of(rows_[i].begin(), rows_[i].end(), is_mine)) continue;
      row_.assign(columns_.pixels().size() * channels, A(0));
      for (int j = 0; j < p_.size; ++j) {
        const T* bin = pooled_gradient + (i * p_.size + j) * channels;
        for (const Tap<A>& tap : columns_[j]) {
          Add(tap.weight, bin, channels, row_.data() + tap.slot * channels);
        }
      }
      for (const Tap<A>& tap : rows_[i]) {
        if (!is_mine(tap)) continue;
        for (size_t slot = 0; slot < columns_.pixels().size(); ++slot) {
          const int64_t pixel = rows_.pixels()[tap.slot] * p_.width + columns_.pixels()[slot];
          Add(tap.weight, row_.data() + slot * channels, channels, gradient + pixel * channels);
        }
      }
    }
  }

 private:
  template <typename Value>
  static void Add(A weight, const Value* values, int64_t count, A* sums) {
    for (int64_t i = 0; i < count; ++i) sums[i] += weight * static_cast<A>(values[i]);
  }

  const Params& p_;
  AxisTaps<A> rows_, columns_;
  std::vector<A> row_, bin_;  // [pixels of the columns, C] and [C]
};

// The maximum is separable as well.
template <typename T>
class Max {
 public:
  using A = Accumulator<T>;

  explicit Max(const Params& p)
      : p_(p), rows_(p.size), columns_(p.size), bin_(p.channels), bin_pixels_(p.channels) {}

  void Read(const float* box) {
    ReadAxis(box[0], box[2], p_.height, &rows_);
    ReadAxis(box[1], box[3], p_.width, &columns_);
  }

  void Forward(const T* features, T* pooled) {
    const int64_t channels = p_.channels;
    const int64_t first = columns_.front().first, width = columns_.back().end - first;
    row_.resize(width * channels);
    for (const Range& rows : rows_) {
      for (int64_t y = rows.first; y < rows.end; ++y) {
        const T* source = features + (y * p_.width + first) * channels;
        KeepMaxima(source, width * channels, y == rows.first, row_.data());
      }
      for (const Range& columns : columns_) {
        if (rows.first == rows.end || columns.first == columns.end) {
          std::fill_n(pooled, channels, T(0));
        }
        for (int64_t x = columns.first; x < columns.end && rows.first < rows.end; ++x) {
          const T* source = row_.data() + (x - first) * channels;
          KeepMaxima(source, channels, x == columns.first, pooled);
        }
        pooled += channels;
      }
    }
  }

  // To the first of equal pixels, row by row.
  void Backward(const T* features, const T* pooled_gradient, int64_t first_row, int64_t end_row,
                A* gradient) {
    const int64_t channels = p_.channels;
    const int64_t first = columns_.front().first, width = columns_.back().end - first;
    row_.resize(width * channels);
    row_pixels_.resize(width * channels);
    for (int i = 0; i < p_.size; ++i) {
      const Range rows = rows_[i];
      if (std::max(rows.first, first_row) >= std::min(rows.end, end_row)) continue;
      for (int64_t y = rows.first; y < rows.end; ++y) {
        for (int64_t x = 0; x < width; ++x) {
          const int32_t pixel = y * p_.width + first + x;
          KeepWinners(features + pixel * channels, [=](int64_t) { return pixel; }, channels,
                      y == rows.first, row_.data() + x * channels,
                      row_pixels_.data() + x * channels);
        }
      }
      for (int j = 0; j < p_.size; ++j) {
        for (int64_t x = columns_[j].first - first; x < columns_[j].end - first; ++x) {
          const int32_t* pixels = row_pixels_.data() + x * channels;
          KeepWinners(row_.data() + x * channels, [=](int64_t c) { return pixels[c]; }, channels,
                      x == columns_[j].first - first, bin_.data(), bin_pixels_.data());
        }
        if (columns_[j].first == columns_[j].end) continue;
        const T* bin = pooled_gradient + (i * p_.size + j) * channels;
        for (int64_t c = 0; c < channels; ++c) {
          const int64_t pixel = bin_pixels_[c];
          if (pixel < first_row * p_.width || pixel >= end_row * p_.width) continue;
          gradient[pixel * channels + c] += static_cast<A>(bin[c]);
        }
      }
    }
  }

 private:
  struct Range {
    int64_t first, end;
  };

  static void KeepMaxima(const T* values, int64_t count, bool is_first, T* best) {
    if (is_first) {
      std::copy_n(values, count, best);
      return;
    }
    for (int64_t i = 0; i < count; ++i) best[i] = values[i] > best[i] ? values[i] : best[i];
  }

  // As above, with the pixels that the values come from.
  template <typename Pixel>
  static void KeepWinners(const T* values, Pixel pixel, int64_t count, bool is_first, T* best,
                          int32_t* winners) {
    if (is_first) {
      std::copy_n(values, count, best);
      for (int64_t i = 0; i < count; ++i) winners[i] = pixel(i);
      return;
    }
    for (int64_t i = 0; i < count; ++i) {
      const bool earlier = pixel(i) < winners[i];
      const int32_t better = -int32_t((values[i] > best[i]) | ((values[i] == best[i]) & earlier));
      best[i] = better ? values[i] : best[i];  // a mask: no branch
      winners[i] = (pixel(i) & better) | (winners[i] & ~better);
    }
  }

  // Pixels first to last, inclusive, are cut into bins that may share one. The
  // order of the operations is torchvision's; clamping keeps integers in range.
  void ReadAxis(float start, float end, int64_t pixels, std::vector<Range>* bins) const {
    const float limit = 1 << 30;
    const float first = std::round(Clamp(start * p_.spatial_scale, limit));
    const float last = std::round(Clamp(end * p_.spatial_scale, limit));
    const float bin_size = std::max(last - first + 1, 1.0f) / p_.size;
    const auto pixel = [&](float offset) {
      const int64_t sum = static_cast<int64_t>(offset) + static_cast<int64_t>(first);
      return std::min(std::max<int64_t>(sum, 0), pixels);
    };
    for (int bin = 0; bin < p_.size; ++bin) {
      (*bins)[bin] = {pixel(std::floor(bin * bin_size)), pixel(std::ceil((bin + 1) * bin_size))};
    }
  }

  const Params& p_;
  std::vector<Range> rows_, columns_;
  std::vector<T> row_, bin_;  // [pixels of the columns, C] and [C]
  std::vector<int32_t> row_pixels_, bin_pixels_;
};

// Pools boxes [first, last) of the B*N.
template <template <typename> class Method, typename T>
void ForwardBoxes(const Params& p, const T* features, const float* boxes, T* pooled,
                  int64_t first, int64_t last) {
  const int64_t box_size = p.size * p.size * p.channels;
  Method<T> method(p);
  for (int64_t n = first; n < last; ++n) {
    if (IsPoolable(boxes + 4 * n)) {
      method.Read(boxes + 4 * n);
      method.Forward(features + n / p.num_boxes * p.height * p.width * p.channels,
                     pooled + n * box_size);
    } else {
      std::fill_n(pooled + n * box_size, box_size, T(0));
    }
  }
}

// Adds the gradient of all boxes of one image to rows [first_row, end_row) of it. A
// pixel sums over the boxes in order however the rows are shared out: the result has
// the same bits on any number of threads.
template <template <typename> class Method, typename T>
void BackwardRows(const Params& p, const T* features, const float* boxes,
                  const T* pooled_gradient, Accumulator<T>* gradient, int64_t image,
                  int64_t first_row, int64_t end_row) {
  const int64_t offset = image * p.height * p.width * p.channels;
  Method<T> method(p);
  for (int64_t n = image * p.num_boxes; n < (image + 1) * p.num_boxes; ++n) {
    if (!IsPoolable(boxes + 4 * n)) continue;
    method.Read(boxes + 4 * n);
    method.Backward(features + offset, pooled_gradient + n * p.size * p.size * p.channels,
                    first_row, end_row, gradient + offset);
  }
}

}  // namespace roi_pooling
}  // namespace lhrcnn

#endif  // LHRCNN_ROI_POOLING_CPU_H_
