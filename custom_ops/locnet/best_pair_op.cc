// TensorFlow op LhrcnnBestPair, LocNet's exhaustive search over pairs of cells, for the CPU.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "best_pair_cpu.h"
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
  return absl::OkStatus();
}

// terms [n, Q, M]: a row `inside`, rows `first` and `last`, or all three -> cells [n, 2], whole
// numbers or NaN.
REGISTER_OP("LhrcnnBestPair")
    .Input("terms: float")
    .Output("cells: float")
    .Attr("limit: float")
    .Attr("inside: bool")
    .Attr("borders: bool")
    .SetShapeFn(PairShape);

constexpr int kMaxCells = 1 << 24;  // whole numbers in float32

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
    best_pairs_ = !borders ? BestSums<false> : inside ? BestSums<true> : BestProducts;
  }

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor& terms = context->input(0);
    OP_REQUIRES(context,
                terms.dims() == 3 && terms.dim_size(1) == rows_ && terms.dim_size(2) >= 2 &&
                    terms.dim_size(2) <= kMaxCells,
                absl::InvalidArgumentError(absl::StrCat("terms must be [n, ", rows_, ", 2 to ",
                                                        kMaxCells, " cells], got shape ",
                                                        terms.shape().DebugString())));
    const int64_t number = terms.dim_size(0);
    const int cells = static_cast<int>(terms.dim_size(2));
    tf::Tensor* pairs;
    OP_REQUIRES_OK(context, context->allocate_output(0, {number, 2}, &pairs));
    const float* input = terms.flat<float>().data();
    float* pair = pairs->flat<float>().data();
    const auto& workers = *context->device()->tensorflow_cpu_worker_threads();
    const int64_t blocks = (number + kLanes - 1) / kLanes;
    const auto find = [&](int64_t begin, int64_t end) {
      std::vector<float> buffer(kLanes * rows_ * cells);
      for (int64_t i = begin * kLanes; i < std::min(end * kLanes, number); i += kLanes) {
        const int lanes = static_cast<int>(std::min<int64_t>(kLanes, number - i));
        best_pairs_(input + i * rows_ * cells, lanes, cells, limit_, buffer.data(), pair + 2 * i);
      }
    };
    tf::Shard(workers.num_threads, workers.workers, blocks, 3 * kLanes * rows_ * cells, find);
  }

 private:
  int rows_;
  float limit_;
  void (*best_pairs_)(const float*, int, int, float, float*, float*);
};

REGISTER_KERNEL_BUILDER(Name("LhrcnnBestPair").Device(tf::DEVICE_CPU), BestPairOp);

}  // namespace
}  // namespace locnet
}  // namespace lhrcnn
