// Shared by all native tests: tensors that own their memory, a stream per test, comparisons with a tolerance.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "moe/moe.h"
#include "test/streams.h"
#include "test/structs.h"

namespace moe::testing {

inline float from_bfloat16(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

// Rounds to nearest even; NaN becomes quiet.
inline uint16_t to_bfloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// The backend under test: $PANAMOE_TEST_BACKEND, or the CPU.
inline const char* backend_under_test() {
  const char* name = std::getenv("PANAMOE_TEST_BACKEND");
  return name == nullptr ? "cpu" : name;
}
inline bool on_cpu() { return std::string(backend_under_test()) == "cpu"; }
inline bool emulated() { return std::string(backend_under_test()) == "simt"; }

// Memory for a test's tensors, aligned to 64: host memory, exactly as large as requested, so that AddressSanitizer sees
// overruns. A GPU gets memory of its own that the host can read too.
inline std::shared_ptr<uint8_t> test_memory(size_t bytes) {
  if (std::string(backend_under_test()) != "cuda") {
    void* memory = nullptr;
    if (::posix_memalign(&memory, 64, std::max<size_t>(bytes, 1)) != 0) throw std::bad_alloc();
    std::memset(memory, 0, bytes);
    return {static_cast<uint8_t*>(memory), [](uint8_t* freed) {
              streams_of_test.settle();
              std::free(freed);
            }};
  }
  static const moe_device gpu = [] {
    moe_device device = 0;
    moe_device_open("cuda", 0, &device);
    return device;
  }();
  void* memory = nullptr;
  if (moe_memory_allocate(gpu, static_cast<int64_t>(bytes), &memory) != MOE_OK) throw std::bad_alloc();
  std::memset(memory, 0, bytes);
  return {static_cast<uint8_t*>(memory), [](uint8_t* freed) {
            streams_of_test.settle();
            moe_memory_free(gpu, freed);
          }};
}

// A row-major tensor and its descriptor. Reads and writes go through double, whatever the dtype.
class Tensor {
 public:
  Tensor(moe_dtype dtype, std::initializer_list<int64_t> shape) : Tensor(dtype, std::vector<int64_t>(shape)) {}

  // `shift` elements past an aligned address.
  Tensor(moe_dtype dtype, const std::vector<int64_t>& shape, int64_t shift = 0) {
    const bool byte = dtype == MOE_UINT8 || dtype == MOE_INT8;
    const int64_t element = byte ? 1 : dtype == MOE_BFLOAT16 ? 2 : dtype == MOE_FLOAT64 ? 8 : 4;
    int64_t count = 1;
    for (int64_t size : shape) count *= size;
    memory_ = test_memory(static_cast<size_t>((count + shift) * element));
    view_ = {
        sizeof(moe_tensor), dtype, memory_.get() + shift * element, count * element, static_cast<int32_t>(shape.size()),
        MOE_ROW_MAJOR,      {}};
    for (size_t i = 0; i < shape.size(); ++i) view_.shape[i] = shape[i];
  }

  Tensor(const Tensor&) = delete;
  Tensor& operator=(const Tensor&) = delete;
  Tensor(Tensor&&) = default;
  Tensor& operator=(Tensor&&) = default;

  static Tensor of(moe_dtype dtype, std::initializer_list<int64_t> shape, const std::vector<double>& values) {
    Tensor tensor(dtype, shape);
    for (size_t i = 0; i < values.size(); ++i) tensor.set(static_cast<int64_t>(i), values[i]);
    return tensor;
  }

  // Uniform in [low, high), already rounded to the dtype.
  static Tensor random(moe_dtype dtype, std::initializer_list<int64_t> shape, uint64_t seed, double low = -1,
                       double high = 1) {
    Tensor tensor(dtype, shape);
    std::mt19937_64 generator(seed);
    std::uniform_real_distribution<double> distribution(low, high);
    for (int64_t i = 0; i < tensor.count(); ++i) tensor.set(i, distribution(generator));
    return tensor;
  }

  // A copy that starts some elements past an aligned address.
  Tensor misaligned(int64_t shift = 1) const {
    const std::vector<int64_t> shape(view_.shape, view_.shape + view_.rank);
    Tensor copy(static_cast<moe_dtype>(view_.dtype), shape, shift);
    for (int64_t i = 0; i < count(); ++i) copy.set(i, (*this)[i]);
    return copy;
  }

  operator const moe_tensor*() const { return &view(); }
  moe_tensor& view() { return streams_of_test.busy = true, view_; }
  const moe_tensor& view() const { return streams_of_test.busy = true, view_; }
  int64_t count() const {
    int64_t count = 1;
    for (int32_t i = 0; i < view_.rank; ++i) count *= view_.shape[i];
    return count;
  }

  double operator[](int64_t i) const {
    switch (view_.dtype) {
      case MOE_FLOAT32: return data<float>()[i];
      case MOE_BFLOAT16: return from_bfloat16(data<uint16_t>()[i]);
      case MOE_INT32: return data<int32_t>()[i];
      case MOE_FLOAT64: return data<double>()[i];
      case MOE_INT8: return data<int8_t>()[i];
      default: return data<uint8_t>()[i];
    }
  }
  void set(int64_t i, double value) {
    switch (view_.dtype) {
      case MOE_FLOAT32: data<float>()[i] = static_cast<float>(value); break;
      case MOE_BFLOAT16: data<uint16_t>()[i] = to_bfloat16(static_cast<float>(value)); break;
      case MOE_INT32: data<int32_t>()[i] = static_cast<int32_t>(value); break;
      case MOE_FLOAT64: data<double>()[i] = value; break;
      case MOE_INT8: data<int8_t>()[i] = static_cast<int8_t>(value); break;
      default: data<uint8_t>()[i] = static_cast<uint8_t>(value);
    }
  }
  void fill(double value) {
    for (int64_t i = 0; i < count(); ++i) set(i, value);
  }
  template <typename T>
  T* data() const {
    streams_of_test.settle();
    return static_cast<T*>(view_.data);
  }
  std::vector<uint8_t> bits() const {
    const uint8_t* begin = data<uint8_t>();
    return {begin, begin + view_.bytes};
  }

 private:
  std::shared_ptr<uint8_t> memory_;
  moe_tensor view_{};
};

inline std::vector<double> values_of(const Tensor& tensor) {
  std::vector<double> values;
  for (int64_t i = 0; i < tensor.count(); ++i) values.push_back(tensor[i]);
  return values;
}

// The sum of products: a loss whose gradient by `a` is `b`.
inline double dot(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (int64_t i = 0; i < a.count(); ++i) sum += a[i] * b[i];
  return sum;
}

// A device of the backend under test, with a stream of one thread and one of several.
class KernelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_MOE_OK(moe_device_open(backend_under_test(), 0, &device));
    ASSERT_MOE_OK(moe_stream_create(device, 2, &stream));
    ASSERT_MOE_OK(moe_stream_create(device, 1, &single));
    ASSERT_MOE_OK(moe_stream_create(device, 3, &triple));
    if (!on_cpu()) streams_of_test = {{stream, single, triple}};
  }
  void TearDown() override {
    streams_of_test.settle();
    EXPECT_EQ(streams_of_test.failure, MOE_OK) << last_error();
    streams_of_test = {};
    EXPECT_MOE_OK(moe_device_close(device));
  }

  // Streams whose results must have the same bits. A GPU's streams have no threads, so one suffices, for another run.
  std::vector<moe_stream> streams() const {
    return on_cpu() ? std::vector{single, stream, triple} : std::vector{single};
  }

  moe_device device = 0;
  moe_stream stream = 0;  // two threads
  moe_stream single = 0;
  moe_stream triple = 0;
};

// |actual - expected| <= absolute + relative * |expected|, with `absolute` per element; reports five misses.
inline void expect_near(const Tensor& actual, const std::vector<double>& expected, const std::vector<double>& absolute,
                        double relative, const char* what) {
  ASSERT_EQ(actual.count(), static_cast<int64_t>(expected.size())) << what;
  int misses = 0;
  for (int64_t i = 0; i < actual.count() && misses < 5; ++i) {
    const auto at = static_cast<size_t>(i);
    const double want = expected[at], bound = absolute[at] + relative * std::abs(want);
    if (!(std::abs(actual[i] - want) <= bound)) {
      ADD_FAILURE() << what << "[" << i << "] is " << actual[i] << ", expected " << want << " +- " << bound;
      ++misses;
    }
  }
}

inline void expect_near(const Tensor& actual, const std::vector<double>& expected, double absolute, double relative,
                        const char* what = "") {
  expect_near(actual, expected, std::vector<double>(expected.size(), absolute), relative, what);
}

inline void expect_same_bits(const Tensor& a, const Tensor& b, const char* what = "") {
  EXPECT_EQ(a.bits(), b.bits()) << what;
}

// Central differences of loss(i), which is called with element i of `x` moved.
inline std::vector<double> differences(std::vector<double>& x, double step, const std::function<double(size_t)>& loss) {
  std::vector<double> gradient(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const double saved = x[i];
    x[i] = saved + step;
    const double above = loss(i);
    x[i] = saved - step;
    gradient[i] = (above - loss(i)) / (2 * step);
    x[i] = saved;
  }
  return gradient;
}

// Compares central differences of `loss` over a float32 tensor with `gradient`. `loss` recomputes from the tensor's
// values.
inline void expect_gradient(Tensor& x, const std::vector<double>& gradient, const std::function<double()>& loss,
                            double step, double absolute, double relative, const char* what = "") {
  std::vector<double> numeric(static_cast<size_t>(x.count()));
  for (int64_t i = 0; i < x.count(); ++i) {
    const double saved = x[i];
    x.set(i, saved + step);
    const double up = x[i], above = loss();
    x.set(i, saved - step);
    const double down = x[i], below = loss();
    x.set(i, saved);
    numeric[static_cast<size_t>(i)] = (above - below) / (up - down);
  }
  int misses = 0;
  for (size_t i = 0; i < numeric.size() && misses < 5; ++i) {
    if (!(std::abs(gradient[i] - numeric[i]) <= absolute + relative * std::abs(numeric[i]))) {
      ADD_FAILURE() << what << "'s gradient[" << i << "] is " << gradient[i] << ", central difference " << numeric[i];
      ++misses;
    }
  }
}

}  // namespace moe::testing
