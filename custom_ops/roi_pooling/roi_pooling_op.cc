// TensorFlow ops LhrcnnRoiAlign and LhrcnnRoiPool with their gradients, for the CPU.
#include <algorithm>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "roi_pooling_cpu.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/util/work_sharder.h"

namespace lhrcnn {
namespace roi_pooling {
namespace {

namespace tf = tensorflow;
using tf::shape_inference::DimensionHandle;
using tf::shape_inference::InferenceContext;
using tf::shape_inference::ShapeHandle;

absl::Status PooledShape(InferenceContext* c) {
  ShapeHandle features, boxes;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &features));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 3, &boxes));
  DimensionHandle four, batch;
  TF_RETURN_IF_ERROR(c->WithValue(c->Dim(boxes, 2), 4, &four));
  TF_RETURN_IF_ERROR(c->Merge(c->Dim(features, 0), c->Dim(boxes, 0), &batch));
  int64_t size;
  TF_RETURN_IF_ERROR(c->GetAttr("size", &size));
  c->set_output(0, c->MakeShape({batch, c->Dim(boxes, 1), c->MakeDim(size), c->MakeDim(size),
                                 c->Dim(features, 3)}));
  return absl::OkStatus();
}

absl::Status FeaturesShape(InferenceContext* c) {
  c->set_output(0, c->input(0));
  return absl::OkStatus();
}

// features [B, H, W, C], boxes [B, N, 4] -> pooled [B, N, P, P, C].
REGISTER_OP("LhrcnnRoiAlign")
    .Input("features: T")
    .Input("boxes: float")
    .Output("pooled: T")
    .Attr("T: {half, bfloat16, float, double}")
    .Attr("size: int >= 1")
    .Attr("spatial_scale: float")
    .Attr("sampling_ratio: int >= 0 = 0")
    .Attr("aligned: bool = true")
    .SetShapeFn(PooledShape);

// The features give their shape alone.
REGISTER_OP("LhrcnnRoiAlignGrad")
    .Input("features: T")
    .Input("boxes: float")
    .Input("gradient: T")
    .Output("features_gradient: T")
    .Attr("T: {half, bfloat16, float, double}")
    .Attr("size: int >= 1")
    .Attr("spatial_scale: float")
    .Attr("sampling_ratio: int >= 0 = 0")
    .Attr("aligned: bool = true")
    .SetShapeFn(FeaturesShape);

REGISTER_OP("LhrcnnRoiPool")
    .Input("features: T")
    .Input("boxes: float")
    .Output("pooled: T")
    .Attr("T: {half, bfloat16, float, double}")
    .Attr("size: int >= 1")
    .Attr("spatial_scale: float")
    .SetShapeFn(PooledShape);

REGISTER_OP("LhrcnnRoiPoolGrad")
    .Input("features: T")
    .Input("boxes: float")
    .Input("gradient: T")
    .Output("features_gradient: T")
    .Attr("T: {half, bfloat16, float, double}")
    .Attr("size: int >= 1")
    .Attr("spatial_scale: float")
    .SetShapeFn(FeaturesShape);

absl::Status ReadAttributes(tf::OpKernelConstruction* context, Params* p) {
  TF_RETURN_IF_ERROR(context->GetAttr("size", &p->size));
  TF_RETURN_IF_ERROR(context->GetAttr("spatial_scale", &p->spatial_scale));
  if (context->HasAttr("aligned")) {
    TF_RETURN_IF_ERROR(context->GetAttr("sampling_ratio", &p->sampling_ratio));
    TF_RETURN_IF_ERROR(context->GetAttr("aligned", &p->aligned));
  }
  if (p->size > kMaxBins || p->sampling_ratio > kMaxSamples) {
    return absl::InvalidArgumentError(
        absl::StrCat("size must be at most ", kMaxBins, " and sampling_ratio at most ",
                     kMaxSamples, ", got ", p->size, " and ", p->sampling_ratio));
  }
  if (!(p->spatial_scale > 0) || std::isinf(p->spatial_scale)) {
    return absl::InvalidArgumentError(
        absl::StrCat("spatial_scale must be positive and finite, got ", p->spatial_scale));
  }
  return absl::OkStatus();
}

absl::Status ReadShapes(const tf::TensorShape& features, const tf::TensorShape& boxes,
                        Params* p) {
  if (features.dims() != 4 || features.dim_size(1) < 1 || features.dim_size(2) < 1 ||
      features.dim_size(1) > kMaxCells || features.dim_size(2) > kMaxCells ||
      features.dim_size(1) * features.dim_size(2) > INT32_MAX) {
    return absl::InvalidArgumentError(
        absl::StrCat("features must be [B, H, W, C] with H and W from 1 to 2^24 and H*W below "
                     "2^31, got shape ", features.DebugString()));
  }
  if (boxes.dims() != 3 || boxes.dim_size(2) != 4 || boxes.dim_size(0) != features.dim_size(0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("boxes must be [B, N, 4] with the B of the features ",
                     features.DebugString(), ", got shape ", boxes.DebugString()));
  }
  p->batch = features.dim_size(0);
  p->height = features.dim_size(1);
  p->width = features.dim_size(2);
  p->channels = features.dim_size(3);
  p->num_boxes = boxes.dim_size(1);
  return absl::OkStatus();
}

// An error where there would be more elements than numbers to count them.
absl::Status PooledShape(const Params& p, tf::TensorShape* shape) {
  return tf::TensorShape::BuildTensorShape({p.batch, p.num_boxes, p.size, p.size, p.channels},
                                           shape);
}

template <typename T>
T* Data(const tf::Tensor& tensor) {
  return static_cast<T*>(tensor.data());
}

template <typename Work>
void Share(tf::OpKernelContext* context, int64_t total, int64_t cost, Work work) {
  const auto& workers = *context->device()->tensorflow_cpu_worker_threads();
  tf::Shard(workers.num_threads, workers.workers, total, cost, work);
}

// Nanoseconds, roughly, of one box: about 16 pixels per bin, four channels at a time.
int64_t BoxCost(const Params& p) { return p.size * p.size * (20 + 4 * p.channels); }

template <template <typename> class Method, typename T>
class ForwardOp : public tf::OpKernel {
 public:
  explicit ForwardOp(tf::OpKernelConstruction* context) : tf::OpKernel(context) {
    OP_REQUIRES_OK(context, ReadAttributes(context, &attributes_));
  }

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor& features = context->input(0);
    const tf::Tensor& boxes = context->input(1);
    Params p = attributes_;
    OP_REQUIRES_OK(context, ReadShapes(features.shape(), boxes.shape(), &p));
    tf::TensorShape shape;
    OP_REQUIRES_OK(context, PooledShape(p, &shape));
    tf::Tensor* pooled;
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &pooled));
    Share(context, p.batch * p.num_boxes, BoxCost(p), [&](int64_t first, int64_t last) {
      ForwardBoxes<Method>(p, Data<const T>(features), Data<const float>(boxes),
                           Data<T>(*pooled), first, last);
    });
  }

 private:
  Params attributes_ = {};
};

template <template <typename> class Method, typename T>
class BackwardOp : public tf::OpKernel {
 public:
  using A = Accumulator<T>;

  explicit BackwardOp(tf::OpKernelConstruction* context) : tf::OpKernel(context) {
    OP_REQUIRES_OK(context, ReadAttributes(context, &attributes_));
  }

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor& features = context->input(0);
    const tf::Tensor& boxes = context->input(1);
    const tf::Tensor& gradient = context->input(2);
    Params p = attributes_;
    OP_REQUIRES_OK(context, ReadShapes(features.shape(), boxes.shape(), &p));
    tf::TensorShape pooled;
    OP_REQUIRES_OK(context, PooledShape(p, &pooled));
    OP_REQUIRES(context, gradient.shape() == pooled,
                absl::InvalidArgumentError(absl::StrCat("gradient must have shape ",
                                                        pooled.DebugString(), ", got ",
                                                        gradient.shape().DebugString())));
    tf::Tensor* output;
    OP_REQUIRES_OK(context, context->allocate_output(0, features.shape(), &output));
    tf::Tensor sums = *output;
    if (!std::is_same<T, A>::value) {
      OP_REQUIRES_OK(context, context->allocate_temp(tf::DT_FLOAT, features.shape(), &sums));
    }
    const int64_t size = features.NumElements();
    Share(context, size, 1, [&](int64_t first, int64_t last) {
      std::fill(Data<A>(sums) + first, Data<A>(sums) + last, A(0));
    });
    // Bands of whole rows: memory is read in order. Several a thread, since boxes crowd.
    const int threads = context->device()->tensorflow_cpu_worker_threads()->num_threads;
    const int64_t bands = std::min<int64_t>((p.height + 7) / 8, 4 * threads);
    Share(context, p.batch * bands, p.num_boxes * BoxCost(p) / bands,
          [&](int64_t first, int64_t last) {
            for (int64_t share = first; share < last; ++share) {
              const int64_t band = share % bands;
              BackwardRows<Method>(p, Data<const T>(features), Data<const float>(boxes),
                                   Data<const T>(gradient), Data<A>(sums), share / bands,
                                   p.height * band / bands, p.height * (band + 1) / bands);
            }
          });
    if (std::is_same<T, A>::value) return;
    Share(context, size, 1, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        Data<T>(*output)[i] = static_cast<T>(Data<const A>(sums)[i]);
      }
    });
  }

 private:
  Params attributes_ = {};
};

#define REGISTER(NAME, METHOD, T)                                                            \
  REGISTER_KERNEL_BUILDER(Name(NAME).Device(tf::DEVICE_CPU).TypeConstraint<T>("T"),          \
                          ForwardOp<METHOD, T>);                                             \
  REGISTER_KERNEL_BUILDER(Name(NAME "Grad").Device(tf::DEVICE_CPU).TypeConstraint<T>("T"),   \
                          BackwardOp<METHOD, T>)

#define REGISTER_ALL(NAME, METHOD)          \
  REGISTER(NAME, METHOD, float);            \
  REGISTER(NAME, METHOD, double);           \
  REGISTER(NAME, METHOD, Eigen::half);      \
  REGISTER(NAME, METHOD, Eigen::bfloat16)

REGISTER_ALL("LhrcnnRoiAlign", Align);
REGISTER_ALL("LhrcnnRoiPool", Max);

}  // namespace
}  // namespace roi_pooling
}  // namespace lhrcnn
