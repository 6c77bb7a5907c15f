// TensorFlow op LhrcnnBestPair, LocNet's exhaustive search over pairs of cells, for the CPU.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/util/work_sharder.h"

namespace lhrcnn {
namespace locnet {
namespace {

namespace tf = tensorflow;
using tf::shape_inference::InferenceContext;
using tf::shape_inference::ShapeHandle;

absl::Status PairShape(InferenceContext* c) {
  ShapeHandle terms;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 3, &terms));
  c->set_output(0, c->Matrix(c->Dim(terms, 0), 2));
  c->set_output(1, c->Vector(c->Dim(terms, 0)));
  return absl::OkStatus();
}

// terms [n, Q, M]: a row `inside`, rows `first` and `last`, or all three -> cells [n, 2], score [n].
REGISTER_OP("LhrcnnBestPair")
    .Input("terms: float")
    .Output("cells: int32")
    .Output("score: float")
    .Attr("limit: float")
    .Attr("inside: bool")
    .Attr("borders: bool")
    .SetShapeFn(PairShape);

// Boxes worked on at once, a lane each.
constexpr int kLanes = 8;

// For up to kLanes boxes, terms [lanes, Q, M]: the pair first < last of the largest first[a] + inside[a] + ... + inside[b] +
// last[b], each term limited to [-limit, limit]. One pass that keeps the best first cell up to each place compares as an
// exhaustive search does; a sum that is NaN is never the best. `buffer` has room for kLanes * Q * M numbers.
template <bool kInside, bool kBorders>
void BestPairs(const float* terms, int lanes, int cells, float limit, float* buffer, int32_t* pairs, float* scores) {
  const int size = (kInside + 2 * kBorders) * cells;
  for (int lane = 0; lane < lanes; ++lane) {
    for (int i = 0; i < size; ++i) buffer[i * kLanes + lane] = terms[lane * size + i];
  }
  const float* inside = buffer;
  const float* first = buffer + (kInside ? cells * kLanes : 0);
  const float* last = first + cells * kLanes;
  const auto limited = [limit](float term) { return term < -limit ? -limit : term > limit ? limit : term; };

  float sum[kLanes], start[kLanes], score[kLanes];  // sum: inside[0] + ... + inside[cell]
  int32_t start_cell[kLanes] = {}, first_cell[kLanes] = {}, last_cell[kLanes];
  for (int lane = 0; lane < kLanes; ++lane) {
    sum[lane] = kInside ? limited(inside[lane]) : 0;
    start[lane] = kBorders ? limited(first[lane]) : 0;
    score[lane] = -std::numeric_limits<float>::infinity();
    last_cell[lane] = 1;
  }
  for (int cell = 1; cell < cells; ++cell) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const int i = cell * kLanes + lane;
      const float new_start = (kBorders ? limited(first[i]) : 0) - sum[lane];
      if (kInside) sum[lane] += limited(inside[i]);
      const float total = start[lane] + sum[lane] + (kBorders ? limited(last[i]) : 0);
      const bool best = total > score[lane], best_start = new_start > start[lane];
      score[lane] = best ? total : score[lane];
      first_cell[lane] = best ? start_cell[lane] : first_cell[lane];
      last_cell[lane] = best ? cell : last_cell[lane];
      start[lane] = best_start ? new_start : start[lane];
      start_cell[lane] = best_start ? cell : start_cell[lane];
    }
  }
  for (int lane = 0; lane < lanes; ++lane) {
    pairs[2 * lane] = first_cell[lane];
    pairs[2 * lane + 1] = last_cell[lane];
    scores[lane] = score[lane];
  }
}

class BestPairOp : public tf::OpKernel {
 public:
  explicit BestPairOp(tf::OpKernelConstruction* context) : tf::OpKernel(context) {
    bool inside, borders;
    OP_REQUIRES_OK(context, context->GetAttr("limit", &limit_));
    OP_REQUIRES_OK(context, context->GetAttr("inside", &inside));
    OP_REQUIRES_OK(context, context->GetAttr("borders", &borders));
    OP_REQUIRES(context, inside || borders,
                absl::InvalidArgumentError("inside or borders must be true"));
    rows_ = inside + 2 * borders;
    best_pairs_ = !borders ? BestPairs<true, false> : inside ? BestPairs<true, true> : BestPairs<false, true>;
  }

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor& terms = context->input(0);
    OP_REQUIRES(context, terms.dims() == 3 && terms.dim_size(1) == rows_ && terms.dim_size(2) >= 2 &&
                             terms.dim_size(2) <= INT32_MAX,
                absl::InvalidArgumentError(absl::StrCat(
                    "terms must be [n, ", rows_, ", at least 2 cells], got shape ", terms.shape().DebugString())));
    const int64_t number = terms.dim_size(0);
    const int cells = static_cast<int>(terms.dim_size(2));
    tf::Tensor *pairs, *scores;
    OP_REQUIRES_OK(context, context->allocate_output(0, {number, 2}, &pairs));
    OP_REQUIRES_OK(context, context->allocate_output(1, {number}, &scores));
    const float* input = terms.flat<float>().data();
    int32_t* pair = pairs->flat<int32_t>().data();
    float* score = scores->flat<float>().data();
    const auto& workers = *context->device()->tensorflow_cpu_worker_threads();
    const int64_t blocks = (number + kLanes - 1) / kLanes;
    tf::Shard(workers.num_threads, workers.workers, blocks, 3 * kLanes * rows_ * cells, [&](int64_t begin, int64_t end) {
      std::vector<float> buffer(kLanes * rows_ * cells);
      for (int64_t i = begin * kLanes; i < std::min(end * kLanes, number); i += kLanes) {
        const int lanes = static_cast<int>(std::min<int64_t>(kLanes, number - i));
        best_pairs_(input + i * rows_ * cells, lanes, cells, limit_, buffer.data(), pair + 2 * i, score + i);
      }
    });
  }

 private:
  int rows_;
  float limit_;
  void (*best_pairs_)(const float*, int, int, float, float*, int32_t*, float*);
};

REGISTER_KERNEL_BUILDER(Name("LhrcnnBestPair").Device(tf::DEVICE_CPU), BestPairOp);

}  // namespace
}  // namespace locnet
}  // namespace lhrcnn
