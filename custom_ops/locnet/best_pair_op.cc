// TensorFlow op LhrcnnBestPair, LocNet's exhaustive search over pairs of cells, for the CPU.
#include <cstdint>
#include <limits>

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
    .Attr("inside: bool")
    .Attr("borders: bool")
    .SetShapeFn(PairShape);

// The pair first < last of the largest first[a] + inside[a] + ... + inside[b] + last[b]. One pass that keeps the best first
// cell up to each place compares as an exhaustive search does; a score that is NaN is never the best.
template <bool kInside, bool kBorders>
void BestPair(const float* terms, int cells, int32_t* pair, float* best_score) {
  const float* inside = terms;
  const float* first = terms + (kInside ? cells : 0);
  const float* last = first + cells;
  float sum = kInside ? inside[0] : 0;  // inside[0] + ... + inside[cell]
  float start = kBorders ? first[0] : 0, score = -std::numeric_limits<float>::infinity();
  int start_cell = 0;
  pair[0] = 0;
  pair[1] = 1;
  for (int cell = 1; cell < cells; ++cell) {
    const float new_start = (kBorders ? first[cell] : 0) - sum;
    if (kInside) sum += inside[cell];
    const float total = start + sum + (kBorders ? last[cell] : 0);
    if (total > score) {
      score = total;
      pair[0] = start_cell;
      pair[1] = cell;
    }
    if (new_start > start) {
      start = new_start;
      start_cell = cell;
    }
  }
  *best_score = score;
}

class BestPairOp : public tf::OpKernel {
 public:
  explicit BestPairOp(tf::OpKernelConstruction* context) : tf::OpKernel(context) {
    bool inside, borders;
    OP_REQUIRES_OK(context, context->GetAttr("inside", &inside));
    OP_REQUIRES_OK(context, context->GetAttr("borders", &borders));
    OP_REQUIRES(context, inside || borders,
                absl::InvalidArgumentError("inside or borders must be true"));
    rows_ = inside + 2 * borders;
    best_pair_ = !borders ? BestPair<true, false> : inside ? BestPair<true, true> : BestPair<false, true>;
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
    tf::Shard(workers.num_threads, workers.workers, number, 4 * cells, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        best_pair_(input + i * rows_ * cells, cells, pair + 2 * i, score + i);
      }
    });
  }

 private:
  int rows_;
  void (*best_pair_)(const float*, int, int32_t*, float*);
};

REGISTER_KERNEL_BUILDER(Name("LhrcnnBestPair").Device(tf::DEVICE_CPU), BestPairOp);

}  // namespace
}  // namespace locnet
}  // namespace lhrcnn
