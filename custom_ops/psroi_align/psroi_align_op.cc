// TensorFlow ops LhrcnnPsRoiAlign and LhrcnnPsRoiAlignGrad.
#include <algorithm>
#include <cmath>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "psroi_align_cpu.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/framework/tensor_util.h"
#include "tensorflow/core/util/determinism.h"
#include "tensorflow/core/util/work_sharder.h"

#if GOOGLE_CUDA
#include "psroi_align_launch.h"
#include "xla/stream_executor/stream.h"
#endif

// Read from the file's bytes before the library is loaded: see lhrcnn/ops/compiling.py.
#ifdef LHRCNN_BUILD_STAMP
extern "C" __attribute__((used)) const char LhrcnnBuildStamp[] =
    LHRCNN_BUILD_STAMP;
#endif

namespace lhrcnn {
namespace {

namespace tf = tensorflow;
using tf::shape_inference::DimensionHandle;
using tf::shape_inference::InferenceContext;
using tf::shape_inference::ShapeHandle;

absl::Status ForwardShape(InferenceContext* c) {
  ShapeHandle features, boxes;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &features));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 3, &boxes));
  DimensionHandle four, batch, channels;
  TF_RETURN_IF_ERROR(c->WithValue(c->Dim(boxes, 2), 4, &four));
  TF_RETURN_IF_ERROR(c->Merge(c->Dim(features, 0), c->Dim(boxes, 0), &batch));
  int64_t group;
  TF_RETURN_IF_ERROR(c->GetAttr("group_size", &group));
  TF_RETURN_IF_ERROR(
      c->Divide(c->Dim(features, 3), group * group, /*evenly_divisible=*/true, &channels));
  const ShapeHandle pooled =
      c->MakeShape({batch, c->Dim(boxes, 1), c->MakeDim(group), c->MakeDim(group), channels});
  std::string pool;
  TF_RETURN_IF_ERROR(c->GetAttr("pool", &pool));
  c->set_output(0, pooled);
  c->set_output(1, pool == "max" ? pooled : c->MakeShape({c->MakeDim(0)}));
  return absl::OkStatus();
}

absl::Status BackwardShape(InferenceContext* c) {
  ShapeHandle features;
  TF_RETURN_IF_ERROR(c->MakeShapeFromShapeTensor(2, &features));
  TF_RETURN_IF_ERROR(c->WithRank(features, 4, &features));
  c->set_output(0, features);
  return absl::OkStatus();
}

// features [B, H, W, G*G*C], boxes [B, N, 4] -> pooled [B, N, G, G, C]; argmax is
// the number of the winning sample, of the same shape, and empty for the mean.
REGISTER_OP("LhrcnnPsRoiAlign")
    .Input("features: T")
    .Input("boxes: float")
    .Output("pooled: T")
    .Output("argmax: uint8")
    .Attr("T: {half, bfloat16, float, double}")
    .Attr("group_size: int >= 1")
    .Attr("spatial_scale: float")
    .Attr("sampling_ratio: int >= 1 = 2")
    .Attr("pool: {'avg', 'max'} = 'avg'")
    .Attr("aligned: bool = false")
    .Attr("channel_order: {'bin_major', 'channel_major'} = 'bin_major'")
    .SetShapeFn(ForwardShape);

// Takes the shape of the features, not their values.
REGISTER_OP("LhrcnnPsRoiAlignGrad")
    .Input("gradient: T")
    .Input("boxes: float")
    .Input("features_shape: int32")
    .Input("argmax: uint8")
    .Output("features_gradient: T")
    .Attr("T: {half, bfloat16, float, double}")
    .Attr("group_size: int >= 1")
    .Attr("spatial_scale: float")
    .Attr("sampling_ratio: int >= 1 = 2")
    .Attr("pool: {'avg', 'max'} = 'avg'")
    .Attr("aligned: bool = false")
    .Attr("channel_order: {'bin_major', 'channel_major'} = 'bin_major'")
    .SetShapeFn(BackwardShape);

absl::Status ReadAttributes(tf::OpKernelConstruction* context, Params* p) {
  std::string pool, order;
  bool aligned;
  TF_RETURN_IF_ERROR(context->GetAttr("group_size", &p->group_size));
  TF_RETURN_IF_ERROR(context->GetAttr("spatial_scale", &p->spatial_scale));
  TF_RETURN_IF_ERROR(context->GetAttr("sampling_ratio", &p->sampling_ratio));
  TF_RETURN_IF_ERROR(context->GetAttr("pool", &pool));
  TF_RETURN_IF_ERROR(context->GetAttr("aligned", &aligned));
  TF_RETURN_IF_ERROR(context->GetAttr("channel_order", &order));
  p->aligned = aligned;
  p->max_pool = pool == "max";
  p->channel_major = order == "channel_major";
  if (p->group_size > kMaxGroupSize || p->sampling_ratio > kMaxSamplingRatio) {
    return absl::InvalidArgumentError(
        absl::StrCat("group_size must be at most ", kMaxGroupSize, " and sampling_ratio at most ",
                     kMaxSamplingRatio, ", got ", p->group_size, " and ", p->sampling_ratio));
  }
  if (!(p->spatial_scale > 0) || std::isinf(p->spatial_scale)) {
    return absl::InvalidArgumentError(
        absl::StrCat("spatial_scale must be positive and finite, got ", p->spatial_scale));
  }
  return absl::OkStatus();
}

absl::Status ReadShapes(const tf::TensorShape& features, const tf::TensorShape& boxes,
                        Params* p) {
  if (features.dims() != 4 || features.dim_size(1) < 1 || features.dim_size(2) < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("features must be [B, H, W, G*G*C] with H and W at least 1, got shape ",
                     features.DebugString()));
  }
  if (boxes.dims() != 3 || boxes.dim_size(2) != 4 || boxes.dim_size(0) != features.dim_size(0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("boxes must be [B, N, 4] with the B of the features ",
                     features.DebugString(), ", got shape ", boxes.DebugString()));
  }
  p->batch = features.dim_size(0);
  p->height = features.dim_size(1);
  p->width = features.dim_size(2);
  p->num_boxes = boxes.dim_size(1);
  const int64_t depth = features.dim_size(3);
  constexpr int64_t kLimit = int64_t{1} << 30;
  if (depth < 1 || depth % NumBins(*p) != 0 || std::max({p->height, p->width, depth}) > kLimit) {
    return absl::InvalidArgumentError(absl::StrCat(
        "features must have G*G*C channels, a positive multiple of ", NumBins(*p),
        " for group_size=", p->group_size, ", and sizes below 2^30, got shape ",
        features.DebugString()));
  }
  p->channels = depth / NumBins(*p);
  return absl::OkStatus();
}

tf::TensorShape PooledShape(const Params& p) {
  return {p.batch, p.num_boxes, p.group_size, p.group_size, p.channels};
}

template <typename T>
T* Data(const tf::Tensor& tensor) {
  return static_cast<T*>(tensor.data());
}

struct CpuDevice {};
struct GpuDevice {};

template <typename Device, typename T>
struct Kernels;

template <typename T>
struct Kernels<CpuDevice, T> {
  using A = typename AccumulatorOf<T>::type;

  template <typename Work>
  static void Share(tf::OpKernelContext* context, int64_t total, int64_t cost, Work work) {
    const auto& workers = *context->device()->tensorflow_cpu_worker_threads();
    tf::Shard(workers.num_threads, workers.workers, total, cost, work);
  }

  // Nanoseconds, roughly, of one bin of one box: its taps, then about one vector
  // operation for four channels of each pixel it reads.
  static int64_t BinCost(const Params& p) {
    return 20 + p.sampling_ratio * p.sampling_ratio * (p.channels + 3);
  }

  static absl::Status Forward(tf::OpKernelContext* context, const Params& p, const T* features,
                              const float* boxes, T* pooled, uint8_t* argmax) {
    const auto pool = p.channel_major ? ForwardBoxes<false, T> : ForwardBoxes<true, T>;
    Share(context, p.batch * p.num_boxes, NumBins(p) * BinCost(p),
          [&](int64_t first, int64_t last) {
            pool(p, features, boxes, pooled, argmax, first, last);
          });
    return absl::OkStatus();
  }

  static absl::Status Backward(tf::OpKernelContext* context, const Params& p, const T* gradient,
                               const float* boxes, const uint8_t* argmax, T* features_gradient) {
    if (std::is_same_v<T, A>) {
      Share(context, p.batch * p.height * StridesOf(p).row, 1, [&](int64_t first, int64_t last) {
        std::fill(features_gradient + first, features_gradient + last, T(0));
      });
    }
    const int64_t num_boxes = p.batch * p.num_boxes;
    TapBuffer<A> taps(p, num_boxes);
    Share(context, num_boxes, 30 * p.group_size * p.sampling_ratio,
          [&](int64_t first, int64_t last) { taps.FillPoolable(boxes, first, last); });
    const auto spread = p.channel_major ? BackwardBins<false, T, A> : BackwardBins<true, T, A>;
    Share(context, p.batch * NumBins(p), p.num_boxes * BinCost(p),
          [&](int64_t first, int64_t last) {
            spread(p, gradient, argmax, &taps, features_gradient, first, last);
          });
    return absl::OkStatus();
  }
};

#if GOOGLE_CUDA
template <typename T>
struct Kernels<GpuDevice, T> {
  using A = typename AccumulatorOf<T>::type;

  static int Type() {
    switch (tf::DataTypeToEnum<T>::value) {
      case tf::DT_FLOAT: return LHRCNN_FLOAT32;
      case tf::DT_DOUBLE: return LHRCNN_FLOAT64;
      case tf::DT_HALF: return LHRCNN_FLOAT16;
      default: return LHRCNN_BFLOAT16;
    }
  }

  static void* Stream(tf::OpKernelContext* context) {
    return context->op_device_context()->stream()->platform_specific_handle().stream;
  }

  static absl::Status Checked(int error) {
    if (error == 0) return absl::OkStatus();
    return absl::InternalError(absl::StrCat("PS-RoIAlign: CUDA kernel failed with error ", error,
                                            " (", LhrcnnPsRoiAlignErrorName(error), ")"));
  }

  static absl::Status Forward(tf::OpKernelContext* context, const Params& p, const T* features,
                              const float* boxes, T* pooled, uint8_t* argmax) {
    return Checked(LhrcnnPsRoiAlignForward(&p, Type(), features, boxes, pooled, argmax,
                                           Stream(context)));
  }

  static absl::Status Backward(tf::OpKernelContext* context, const Params& p, const T* gradient,
                               const float* boxes, const uint8_t* argmax, T* features_gradient) {
    void* accumulator = features_gradient;
    tf::Tensor sums;
    if (!std::is_same_v<T, A>) {
      TF_RETURN_IF_ERROR(context->allocate_temp(
          tf::DT_FLOAT, {p.batch, p.height, p.width, StridesOf(p).pixel}, &sums));
      accumulator = sums.data();
    }
    return Checked(LhrcnnPsRoiAlignBackward(&p, Type(), gradient, boxes, argmax, accumulator,
                                            features_gradient, tf::OpDeterminismRequired(),
                                            Stream(context)));
  }
};
#endif  // GOOGLE_CUDA

template <typename Device, typename T>
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
    tf::Tensor *pooled, *argmax;
    OP_REQUIRES_OK(context, context->allocate_output(0, PooledShape(p), &pooled));
    OP_REQUIRES_OK(context, context->allocate_output(
                                1, p.max_pool ? PooledShape(p) : tf::TensorShape({0}), &argmax));
    OP_REQUIRES_OK(context,
                   (Kernels<Device, T>::Forward(context, p, Data<const T>(features),
                                                Data<const float>(boxes), Data<T>(*pooled),
                                                Data<uint8_t>(*argmax))));
  }

 private:
  Params attributes_ = {};
};

template <typename Device, typename T>
class BackwardOp : public tf::OpKernel {
 public:
  explicit BackwardOp(tf::OpKernelConstruction* context) : tf::OpKernel(context) {
    OP_REQUIRES_OK(context, ReadAttributes(context, &attributes_));
  }

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor& gradient = context->input(0);
    const tf::Tensor& boxes = context->input(1);
    const tf::Tensor& argmax = context->input(3);
    tf::TensorShape shape;
    OP_REQUIRES_OK(context, tf::tensor::MakeShape(context->input(2), &shape));
    Params p = attributes_;
    OP_REQUIRES_OK(context, ReadShapes(shape, boxes.shape(), &p));
    const tf::TensorShape pooled = PooledShape(p);
    OP_REQUIRES(context,
                gradient.shape() == pooled && (!p.max_pool || argmax.shape() == pooled),
                absl::InvalidArgumentError(absl::StrCat(
                    "gradient (and argmax for pool='max') must have shape ", pooled.DebugString(),
                    ", got ", gradient.shape().DebugString(), " and ",
                    argmax.shape().DebugString())));
    tf::Tensor* features_gradient;
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &features_gradient));
    OP_REQUIRES_OK(context, (Kernels<Device, T>::Backward(
                                context, p, Data<const T>(gradient), Data<const float>(boxes),
                                Data<const uint8_t>(argmax), Data<T>(*features_gradient))));
  }

 private:
  Params attributes_ = {};
};

#define REGISTER(DEVICE, TAG, T)                                                   \
  REGISTER_KERNEL_BUILDER(                                                         \
      Name("LhrcnnPsRoiAlign").Device(tf::DEVICE).TypeConstraint<T>("T"),          \
      ForwardOp<TAG, T>);                                                          \
  REGISTER_KERNEL_BUILDER(Name("LhrcnnPsRoiAlignGrad")                             \
                              .Device(tf::DEVICE)                                  \
                              .HostMemory("features_shape")                        \
                              .TypeConstraint<T>("T"),                             \
                          BackwardOp<TAG, T>)

#define REGISTER_ALL(DEVICE, TAG)          \
  REGISTER(DEVICE, TAG, float);            \
  REGISTER(DEVICE, TAG, double);           \
  REGISTER(DEVICE, TAG, Eigen::half);      \
  REGISTER(DEVICE, TAG, Eigen::bfloat16)

REGISTER_ALL(DEVICE_CPU, CpuDevice);
#if GOOGLE_CUDA
REGISTER_ALL(DEVICE_GPU, GpuDevice);
#endif

}  // namespace
}  // namespace lhrcnn
