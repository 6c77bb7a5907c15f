// Coverage-guided fuzzing of the host arithmetic of PSRoIAlign, RoIAlign, RoIPool and LocNet's search,
// without TensorFlow's runtime. EIGEN: the include folder of TensorFlow. -DOP=3: LocNet's alone.
//
//   clang++ -std=c++17 -O1 -g -fsanitize=fuzzer,address,undefined -ffp-contract=off
//       -fno-sanitize-recover=all -isystem EIGEN custom_ops/fuzz/fuzz_arithmetic.cpp -o fuzz_arithmetic
//   ./fuzz_arithmetic -runs=1000000 -max_len=512
#include <cstdint>
#include <cstring>
#include <vector>

#include "../locnet/best_pair_cpu.h"
#include "../psroi_align/psroi_align_cpu.h"
#include "../roi_pooling/roi_pooling_cpu.h"

namespace {

// What the input says, zeros where it ends.
struct Bytes {
  const uint8_t* data;
  size_t left;

  template <typename T>
  T Next() {
    T value{};
    const size_t size = std::min(left, sizeof(T));
    std::memcpy(&value, data, size);
    data += size;
    left -= size;
    return value;
  }
  int Int(int first, int last) { return first + Next<uint8_t>() % (last - first + 1); }
  template <typename T>
  std::vector<T> Numbers(int64_t count) {
    std::vector<T> numbers(count);
    for (T& number : numbers) number = static_cast<T>(Next<float>());
    return numbers;
  }
};

float Scale(Bytes* bytes) {
  const float scale = bytes->Next<float>();
  return scale > 0 && scale <= FLT_MAX ? scale : 0.0625f;
}

template <typename T>
void PsRoiAlign(Bytes* bytes) {
  using A = typename lhrcnn::AccumulatorOf<T>::type;
  lhrcnn::Params p;
  p.batch = bytes->Int(0, 2), p.height = bytes->Int(1, 9), p.width = bytes->Int(1, 9);
  p.num_boxes = bytes->Int(0, 4), p.channels = bytes->Int(1, 11);
  p.group_size = bytes->Int(1, 4), p.sampling_ratio = bytes->Int(1, 16);
  p.spatial_scale = Scale(bytes);
  p.aligned = bytes->Int(0, 1), p.max_pool = bytes->Int(0, 1), p.channel_major = bytes->Int(0, 1);
  const int64_t count = p.batch * p.num_boxes, bins = lhrcnn::NumBins(p);
  const auto boxes = bytes->Numbers<float>(4 * count);
  const auto features = bytes->Numbers<T>(p.batch * p.height * p.width * bins * p.channels);
  std::vector<T> pooled(count * bins * p.channels), gradient(features.size());
  std::vector<uint8_t> argmax(p.max_pool ? pooled.size() : 0);
  const auto forward = p.channel_major ? lhrcnn::ForwardBoxes<false, T> : lhrcnn::ForwardBoxes<true, T>;
  forward(p, features.data(), boxes.data(), pooled.data(), argmax.data(), 0, count);
  if (bytes->Int(0, 3) == 0) {
    for (uint8_t& winner : argmax) winner = bytes->Next<uint8_t>();
  }
  lhrcnn::TapBuffer<A> taps(p, count);
  taps.FillPoolable(boxes.data(), 0, count);
  const auto backward =
      p.channel_major ? lhrcnn::BackwardBins<false, T, A> : lhrcnn::BackwardBins<true, T, A>;
  backward(p, pooled.data(), argmax.data(), &taps, gradient.data(), 0, p.batch * bins);
}

template <template <typename> class Method, typename T>
void RoiPooling(Bytes* bytes) {
  lhrcnn::roi_pooling::Params p;
  p.batch = bytes->Int(0, 2), p.height = bytes->Int(1, 9), p.width = bytes->Int(1, 9);
  p.num_boxes = bytes->Int(0, 4), p.channels = bytes->Int(0, 5), p.size = bytes->Int(1, 7);
  p.spatial_scale = Scale(bytes);
  p.sampling_ratio = bytes->Int(0, 3), p.aligned = bytes->Int(0, 1);
  const int64_t count = p.batch * p.num_boxes;
  const auto boxes = bytes->Numbers<float>(4 * count);
  const auto features = bytes->Numbers<T>(p.batch * p.height * p.width * p.channels);
  std::vector<T> pooled(count * p.size * p.size * p.channels);
  std::vector<lhrcnn::roi_pooling::Accumulator<T>> gradient(features.size());
  lhrcnn::roi_pooling::ForwardBoxes<Method>(p, features.data(), boxes.data(), pooled.data(), 0,
                                            count);
  const int64_t middle = bytes->Int(0, static_cast<int>(p.height));
  for (int64_t image = 0; image < p.batch; ++image) {
    for (const auto& [first, end] : {std::pair{int64_t{0}, middle}, std::pair{middle, p.height}}) {
      lhrcnn::roi_pooling::BackwardRows<Method>(p, features.data(), boxes.data(), pooled.data(),
                                                gradient.data(), image, first, end);
    }
  }
}

void BestPair(Bytes* bytes) {
  using namespace lhrcnn::locnet;
  const int rows = bytes->Int(1, 3);  // inside; borders; both
  const int lanes = bytes->Int(1, kLanes), cells = bytes->Int(2, 40);
  const float limit = bytes->Next<float>();
  const auto terms = bytes->Numbers<float>(lanes * rows * cells);
  std::vector<float> buffer(kLanes * rows * cells), pairs(2 * lanes);
  const auto search = rows == 1 ? BestSums<false> : rows == 2 ? BestProducts : BestSums<true>;
  search(terms.data(), lanes, cells, limit, buffer.data(), pairs.data());
  for (int i = 0; i < lanes; ++i) {
    const float first = pairs[2 * i], last = pairs[2 * i + 1];
    const bool found = 0 <= first && first < last && last < cells;
    if (!found && !(std::isnan(first) && std::isnan(last))) __builtin_trap();
  }
}

template <typename T>
void Any(int op, Bytes* bytes) {
  if (op == 0) PsRoiAlign<T>(bytes);
  if (op == 1) RoiPooling<lhrcnn::roi_pooling::Align, T>(bytes);
  if (op == 2) RoiPooling<lhrcnn::roi_pooling::Max, T>(bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Bytes bytes{data, size};
#ifdef OP
  const int op = OP;
#else
  const int op = bytes.Int(0, 3);
#endif
  if (op == 3) {
    BestPair(&bytes);
    return 0;
  }
  const int type = bytes.Int(0, 3);
  if (type == 0) Any<float>(op, &bytes);
  if (type == 1) Any<double>(op, &bytes);
  if (type == 2) Any<Eigen::half>(op, &bytes);
  if (type == 3) Any<Eigen::bfloat16>(op, &bytes);
  return 0;
}
