// CUDA on one CPU thread: just enough of it that the kernels of this folder run
// under g++ and its sanitizers, before a GPU is at hand.
//
// Every CUDA thread is a fiber. The threads of a block are run in an order drawn
// from a seed ($LHRCNN_EMULATION_SEED), each up to its next __syncthreads();
// blocks come in a drawn order too. To AddressSanitizer a block's dynamic shared
// memory is one heap allocation of exactly the size launched. To ThreadSanitizer
// fibers are threads that only __syncthreads() and the end of a launch order: so
// a race between any two threads of a launch is reported, whatever ran first.
//
// emulate.py turns `kernel<<<grid, block, bytes, stream>>>(...)` and
// `extern __shared__ ... name[]` into calls of this header.
#ifndef LHRCNN_CUDA_EMULATION_H_
#define LHRCNN_CUDA_EMULATION_H_

#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <type_traits>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
extern "C" {
void* __tsan_get_current_fiber(void);
void* __tsan_create_fiber(unsigned flags);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void __tsan_acquire(void* address);
void __tsan_release(void* address);
}
#endif

// The scheduler's own variables, which fibers see between switches that order nothing.
#define LHRCNN_UNCHECKED __attribute__((no_sanitize("thread"), noinline))

#define __CUDACC__ 1
#define __global__
#define __host__
#define __device__
#define __forceinline__ inline

struct dim3 {
  unsigned x, y, z;
  template <typename X = unsigned, typename Y = unsigned>
  dim3(X x = 1, Y y = 1, unsigned z = 1)
      : x(static_cast<unsigned>(x)), y(static_cast<unsigned>(y)), z(z) {}
};

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorInvalidConfiguration = 9,
};
using cudaStream_t = void*;
struct cudaFuncAttributes {};

namespace cuda_emulation {

constexpr size_t kStackBytes = 64 << 10;
constexpr unsigned kMaxThreads = 1024;
constexpr size_t kMaxSharedBytes = 48 << 10;
constexpr size_t kMaxSanitizerThreads = 4096;  // of 8128 that there can be; then the first again

struct Fiber {
  ucontext_t context;
  dim3 thread;
  bool finished = false;
  unsigned passed = 0;  // barriers
  void* sanitizer = nullptr;
};

struct Block {
  dim3 index;
  std::unique_ptr<unsigned char[]> shared;
  // Addresses that order the threads of this block alone, one barrier and the next by turns: a
  // thread may come to the next while others have yet to leave this one, which orders nothing.
  std::unique_ptr<char[]> barriers;
};

struct State {
  ucontext_t scheduler;
  const void* scheduler_stack = nullptr;
  size_t scheduler_stack_bytes = 0;
  void* scheduler_sanitizer = nullptr;
  Fiber* fiber = nullptr;
  Block* block = nullptr;
  dim3 block_dim, grid_dim;
  const std::function<void()>* body = nullptr;
  std::vector<std::unique_ptr<Block>> blocks;  // of the launch that runs
  char begin = 0;   // its address orders what comes before a block: nothing of other blocks
  char launch = 0;  // its address orders what comes behind a launch
  // ThreadSanitizer's threads, which take long to make: a launch begins with the first again.
  std::vector<void*> threads;
  size_t next_thread = 0;
  cudaError_t error = cudaSuccess;
  std::mt19937_64 random{[] {
    const char* seed = std::getenv("LHRCNN_EMULATION_SEED");
    return seed ? std::strtoull(seed, nullptr, 10) : 0;
  }()};
};

LHRCNN_UNCHECKED inline State& state() {
  static State only;
  return only;
}

inline void Acquire(char* address) {
#if defined(__SANITIZE_THREAD__)
  __tsan_acquire(address);
#endif
  (void)address;
}

inline void Release(char* address) {
#if defined(__SANITIZE_THREAD__)
  __tsan_release(address);
#endif
  (void)address;
}

// From a fiber back to the scheduler; `ends` when it will not run again.
LHRCNN_UNCHECKED inline void Leave(bool ends) {
  State& s = state();
  Fiber* fiber = s.fiber;
#if defined(__SANITIZE_ADDRESS__)
  void* own = nullptr;
  __sanitizer_start_switch_fiber(ends ? nullptr : &own, s.scheduler_stack,
                                 s.scheduler_stack_bytes);
#endif
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(s.scheduler_sanitizer, 1);  // 1: this orders nothing
#endif
  if (ends) {
    setcontext(&s.scheduler);
  } else {
    swapcontext(&fiber->context, &s.scheduler);
  }
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(own, nullptr, nullptr);
#endif
}

LHRCNN_UNCHECKED inline void Run() {
  State& s = state();
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &s.scheduler_stack, &s.scheduler_stack_bytes);
#endif
  Acquire(&s.begin);
  (*s.body)();
  Release(&s.launch);
  s.fiber->finished = true;
  Leave(true);
}

// From the scheduler to a fiber, until it waits or ends.
LHRCNN_UNCHECKED inline void Enter(Fiber* fiber) {
  State& s = state();
  s.fiber = fiber;
#if defined(__SANITIZE_ADDRESS__)
  void* own = nullptr;
  __sanitizer_start_switch_fiber(&own, fiber->context.uc_stack.ss_sp, kStackBytes);
#endif
#if defined(__SANITIZE_THREAD__)
  s.scheduler_sanitizer = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(fiber->sanitizer, 1);
#endif
  swapcontext(&s.scheduler, &fiber->context);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(own, nullptr, nullptr);
#endif
}

[[noreturn]] inline void Fail(const char* message) {
  std::fprintf(stderr, "CUDA emulation: %s\n", message);
  std::abort();
}

// Where a thread waits for all others of its block, which must all get here.
LHRCNN_UNCHECKED inline void Synchronize() {
  State& s = state();
  char* barrier = &s.block->barriers[s.fiber->passed++ % 2];
  Release(barrier);
  Leave(false);
  Acquire(barrier);
}

LHRCNN_UNCHECKED inline unsigned char* Shared() { return state().block->shared.get(); }

LHRCNN_UNCHECKED inline void RunBlock(dim3 index, size_t shared_bytes) {
  State& s = state();
  const unsigned threads = s.block_dim.x;
  // New memory, which no thread of another block has touched, for all that is the block's own.
  const size_t bytes = threads * kStackBytes;
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) Fail("no memory for stacks");
  unsigned char* stacks = static_cast<unsigned char*>(memory);
  s.blocks.emplace_back(new Block{
      index, std::unique_ptr<unsigned char[]>(new unsigned char[shared_bytes]),
      std::unique_ptr<char[]>(new char[2])});
  s.block = s.blocks.back().get();
  std::memset(s.block->shared.get(), 0xA5, shared_bytes);  // garbage until it is written
  std::vector<Fiber> fibers(threads);
  std::vector<unsigned> order(threads);
  for (unsigned i = 0; i < threads; ++i) {
    order[i] = i;
    fibers[i].thread = dim3(i);
    getcontext(&fibers[i].context);
    fibers[i].context.uc_stack = {stacks + i * kStackBytes, 0, kStackBytes};
    fibers[i].context.uc_link = nullptr;
    makecontext(&fibers[i].context, Run, 0);
#if defined(__SANITIZE_THREAD__)
    if (s.next_thread == s.threads.size()) s.threads.push_back(__tsan_create_fiber(0));
    fibers[i].sanitizer = s.threads[s.next_thread];
    s.next_thread = (s.next_thread + 1) % kMaxSanitizerThreads;
#endif
  }
  Release(&s.begin);
  for (int round = 0;; ++round) {  // from barrier to barrier
    std::shuffle(order.begin(), order.end(), s.random);
    unsigned finished = 0;
    for (unsigned i : order) {
      if (!fibers[i].finished) Enter(&fibers[i]);
      finished += fibers[i].finished;
    }
    if (finished == threads) break;
    if (finished) Fail("some threads of a block ended where others wait in __syncthreads()");
  }
  munmap(memory, bytes);
  s.block = nullptr;
}

LHRCNN_UNCHECKED inline void Launch(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& body) {
  State& s = state();
  const uint64_t blocks = uint64_t(grid.x) * grid.y;
  if (blocks == 0 || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z != 1 || block.x == 0 ||
      block.x > kMaxThreads || block.y != 1 || block.z != 1 || shared_bytes > kMaxSharedBytes) {
    s.error = cudaErrorInvalidConfiguration;
    return;
  }
  s.block_dim = block;
  s.grid_dim = grid;
  s.body = &body;
  s.next_thread = 0;
  std::vector<uint64_t> order(blocks);
  for (uint64_t i = 0; i < blocks; ++i) order[i] = i;
  std::shuffle(order.begin(), order.end(), s.random);
  for (uint64_t i : order) RunBlock(dim3(i % grid.x, i / grid.x), shared_bytes);
  Acquire(&s.launch);
  s.blocks.clear();
}

LHRCNN_UNCHECKED inline dim3 ThreadIdx() { return state().fiber->thread; }
LHRCNN_UNCHECKED inline dim3 BlockIdx() { return state().block->index; }
LHRCNN_UNCHECKED inline dim3 BlockDim() { return state().block_dim; }
LHRCNN_UNCHECKED inline dim3 GridDim() { return state().grid_dim; }

// A value of 16 bits that computes as float: kHalf as IEEE binary16, else as bfloat16.
template <bool kHalf>
class Narrow {
 public:
  Narrow() = default;
  explicit Narrow(float value) : bits_(kHalf ? HalfOf(value) : BfloatOf(value)) {}
  explicit Narrow(double value) : Narrow(static_cast<float>(value)) {}
  operator float() const { return kHalf ? FromHalf(bits_) : FromBits(uint32_t(bits_) << 16); }

 private:
  static uint32_t BitsOf(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    return bits;
  }
  static float FromBits(uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
  }
  static uint16_t BfloatOf(float value) {
    const uint32_t bits = BitsOf(value);
    if (value != value) return uint16_t(bits >> 16 | 0x40);
    return uint16_t((uint64_t(bits) + 0x7fff + (bits >> 16 & 1)) >> 16);  // to nearest even
  }
  static uint16_t HalfOf(float value) {
    const uint32_t bits = BitsOf(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return uint16_t(sign | 0x7e00);
    if (magnitude >= 0x477ff000) return uint16_t(sign | 0x7c00);  // rounds above 65504
    if (magnitude < 0x38800000) {  // below 2^-14: multiples of 2^-24
      const float scaled = FromBits(magnitude) * 16777216.0f;
      uint32_t steps = static_cast<uint32_t>(scaled);
      const float rest = scaled - static_cast<float>(steps);
      steps += rest > 0.5f || (rest == 0.5f && steps & 1);
      return uint16_t(sign | steps);
    }
    const uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
    return uint16_t(sign | (rounded - 0x38000000) >> 13);
  }
  static float FromHalf(uint16_t bits) {
    const uint32_t sign = uint32_t(bits & 0x8000) << 16, exponent = bits >> 10 & 31;
    const uint32_t fraction = bits & 0x3ff;
    if (exponent == 31) return FromBits(sign | 0x7f800000 | fraction << 13);
    if (exponent) return FromBits(sign | (exponent + 112) << 23 | fraction << 13);
    return FromBits(sign | BitsOf(static_cast<float>(fraction) / 16777216.0f));
  }
  uint16_t bits_;
};

}  // namespace cuda_emulation

using __half = cuda_emulation::Narrow<true>;
using __nv_bfloat16 = cuda_emulation::Narrow<false>;

#define threadIdx (cuda_emulation::ThreadIdx())
#define blockIdx (cuda_emulation::BlockIdx())
#define blockDim (cuda_emulation::BlockDim())
#define gridDim (cuda_emulation::GridDim())

inline void __syncthreads() { cuda_emulation::Synchronize(); }

template <typename A>
inline void atomicAdd(A* address, A value) {
  using Bits = std::conditional_t<sizeof(A) == 4, uint32_t, uint64_t>;
  Bits* bits = reinterpret_cast<Bits*>(address);
  Bits old = __atomic_load_n(bits, __ATOMIC_RELAXED), sum;
  do {
    A number;
    std::memcpy(&number, &old, sizeof(A));
    number += value;
    std::memcpy(&sum, &number, sizeof(A));
  } while (!__atomic_compare_exchange_n(bits, &old, sum, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED));
}

inline cudaError_t cudaMemsetAsync(void* address, int value, size_t bytes, cudaStream_t) {
  std::memset(address, value, bytes);
  return cudaSuccess;
}

inline cudaError_t cudaGetLastError() {
  cudaError_t& error = cuda_emulation::state().error;
  const cudaError_t last = error;
  error = cudaSuccess;
  return last;
}

template <typename Kernel>
inline cudaError_t cudaFuncGetAttributes(cudaFuncAttributes*, Kernel*) {
  return cudaSuccess;
}

inline const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
  }
  return "unknown";
}

#endif  // LHRCNN_CUDA_EMULATION_H_
