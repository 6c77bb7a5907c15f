// The host arithmetic of LocNet's exhaustive search over pairs of cells.
#ifndef LHRCNN_LOCNET_BEST_PAIR_CPU_H_
#define LHRCNN_LOCNET_BEST_PAIR_CPU_H_

#include <cmath>
#include <cstdint>
#include <limits>

namespace lhrcnn {
namespace locnet {

// Boxes worked on at once, a lane each.
constexpr int kLanes = 8;
constexpr float kNone = -std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

inline float Limited(float term, float limit) {
  return term < -limit ? -limit : term > limit ? limit : term;
}

// For up to kLanes boxes, terms [lanes, Q, M]: the pair first < last of the largest first[a] +
// inside[a] + ... + inside[b] + last[b], each term limited to [-limit, limit]. One pass that keeps
// the best first cell up to each place compares as an exhaustive search does; a sum that is NaN is
// never the best, and NaN is found where all are. `buffer` has room for kLanes * Q * M numbers.
template <bool kBorders>
void BestSums(const float* terms, int lanes, int cells, float limit, float* buffer, float* pairs) {
  const int size = (1 + 2 * kBorders) * cells;
  for (int lane = 0; lane < lanes; ++lane) {
    for (int i = 0; i < size; ++i) buffer[i * kLanes + lane] = terms[lane * size + i];
  }
  const float *inside = buffer, *first = buffer + cells * kLanes, *last = first + cells * kLanes;

  float sum[kLanes], start[kLanes], score[kLanes];  // sum: inside[0] + ... + inside[cell]
  int32_t start_cell[kLanes] = {}, first_cell[kLanes] = {}, last_cell[kLanes] = {};
  for (int lane = 0; lane < kLanes; ++lane) {
    sum[lane] = Limited(inside[lane], limit);
    start[lane] = kBorders ? Limited(first[lane], limit) : 0;
    score[lane] = kNone;
  }
  for (int cell = 1; cell < cells; ++cell) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const int i = cell * kLanes + lane;
      const float new_start = (kBorders ? Limited(first[i], limit) : 0) - sum[lane];
      sum[lane] += Limited(inside[i], limit);
      const float total = start[lane] + sum[lane] + (kBorders ? Limited(last[i], limit) : 0);
      const bool best = total > score[lane], best_start = new_start > start[lane];
      score[lane] = best ? total : score[lane];
      first_cell[lane] = best ? start_cell[lane] : first_cell[lane];
      last_cell[lane] = best ? cell : last_cell[lane];
      start[lane] = best_start ? new_start : start[lane];
      start_cell[lane] = best_start ? cell : start_cell[lane];
    }
  }
  for (int lane = 0; lane < lanes; ++lane) {
    const bool found = score[lane] > kNone;
    pairs[2 * lane] = found ? first_cell[lane] : kNaN;
    pairs[2 * lane + 1] = found ? last_cell[lane] : kNaN;
  }
}

// As BestSums for terms [lanes, 2, M] of the largest sigmoid(first[a]) * sigmoid(last[b]). Only a
// last cell as high as all after it can be in the best pair, with the highest first cell before it:
// few sigmoids are needed.
inline void BestProducts(const float* terms, int lanes, int cells, float limit, float* buffer,
                         float* pairs) {
  const auto probability = [limit](float term) {
    return 1 / (1 + std::exp(-Limited(term, limit)));
  };
  float *highest_before = buffer, *highest_after = buffer + cells;  // cells
  for (int lane = 0; lane < lanes; ++lane, terms += 2 * cells, pairs += 2) {
    const float *first = terms, *last = terms + cells;
    float highest = Limited(first[0], limit);
    float highest_cell = 0;
    int found = 0;
    for (int cell = 1; cell < cells; ++cell) {
      highest_before[cell] = highest_cell;
      const float term = Limited(first[cell], limit);
      const bool higher = term > highest;
      highest_cell = higher ? static_cast<float>(cell) : highest_cell;
      highest = higher ? term : highest;
    }
    highest = kNone;
    for (int cell = cells - 1; cell > 0; --cell) {
      highest_after[found] = cell;
      const float term = Limited(last[cell], limit);
      const bool as_high = term >= highest;
      found += as_high;
      highest = as_high ? term : highest;
    }
    float score = kNone;
    pairs[0] = pairs[1] = kNaN;
    for (int i = 0; i < found; ++i) {
      const int b = static_cast<int>(highest_after[i]), a = static_cast<int>(highest_before[b]);
      const float product = probability(first[a]) * probability(last[b]);
      if (product >= score) {
        score = product;
        pairs[0] = a;
        pairs[1] = b;
      }
    }
  }
}

}  // namespace locnet
}  // namespace lhrcnn

#endif  // LHRCNN_LOCNET_BEST_PAIR_CPU_H_
