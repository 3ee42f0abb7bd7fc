// Handles, memory and errors: everything that must hold before a kernel runs.
#include <cstdlib>
#include <cstring>

#include "test/testing.h"

namespace moe::testing {
namespace {

class DeviceTest : public KernelTest {};

TEST_F(DeviceTest, DescribesItself) {
  moe_device_info info{};
  info.struct_size = sizeof(info);
  ASSERT_MOE_OK(moe_device_describe(device, &info));
  EXPECT_GE(info.processors, 1);
  EXPECT_GT(info.memory_total, 0);
  EXPECT_GE(info.vector_bytes, 16);
  EXPECT_GT(std::strlen(info.target), 0u);
  const char* limit = std::getenv("PANAMOE_SIMD");
  if (limit != nullptr && *limit != '\0') {
    EXPECT_STREQ(info.target, limit);
  }
}

TEST_F(DeviceTest, RefusesForeignAndStaleHandles) {
  moe_stream closed = 0;
  ASSERT_MOE_OK(moe_stream_create(device, 1, &closed));
  ASSERT_MOE_OK(moe_stream_destroy(closed));
  EXPECT_MOE_REFUSED(MOE_INVALID_HANDLE, "closed", moe_stream_synchronize(closed));
  EXPECT_MOE_REFUSED(MOE_INVALID_HANDLE, "not a stream handle", moe_stream_synchronize(device));
  EXPECT_MOE_REFUSED(MOE_INVALID_HANDLE, "not a stream handle", moe_stream_synchronize(0));
  EXPECT_MOE_REFUSED(MOE_INVALID_HANDLE, "closed", moe_stream_destroy(closed));
}

TEST_F(DeviceTest, ClosingADeviceClosesItsStreams) {
  moe_device other = 0;
  moe_stream its_stream = 0;
  ASSERT_MOE_OK(moe_device_open(backend_under_test(), 0, &other));
  ASSERT_MOE_OK(moe_stream_create(other, 1, &its_stream));
  ASSERT_MOE_OK(moe_device_close(other));
  EXPECT_MOE_REFUSED(MOE_INVALID_HANDLE, "closed", moe_stream_synchronize(its_stream));
  EXPECT_MOE_OK(moe_stream_synchronize(stream));
}

TEST_F(DeviceTest, OtherLibrariesGetTheStreamOfADeviceThatRunsBehindTheCaller) {
  moe_device_info info{};
  info.struct_size = sizeof(info);
  ASSERT_MOE_OK(moe_device_describe(device, &info));
  void* handle = nullptr;
  if (info.asynchronous == 0) {
    EXPECT_MOE_REFUSED(MOE_UNSUPPORTED, "no other library can use them", moe_stream_native(stream, &handle));
  } else {
    void* of_another = nullptr;
    moe_stream another = 0;
    ASSERT_MOE_OK(moe_stream_create(device, 1, &another));
    EXPECT_MOE_OK(moe_stream_native(stream, &handle));
    EXPECT_MOE_OK(moe_stream_native(another, &of_another));
    EXPECT_NE(handle, nullptr);
    EXPECT_NE(handle, of_another);
    EXPECT_MOE_OK(moe_stream_destroy(another));
  }
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "handle is null", moe_stream_native(stream, nullptr));
}

TEST_F(DeviceTest, AStreamThatWasWaitedForHasFinished) {
  Tensor y(MOE_FLOAT32, {1 << 16});
  ASSERT_MOE_OK(moe_fill(stream, 1, y));
  ASSERT_MOE_OK(moe_stream_synchronize(stream));
  int32_t finished = 0;
  EXPECT_MOE_OK(moe_stream_query(stream, &finished));
  EXPECT_EQ(finished, 1);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "finished is null", moe_stream_query(stream, nullptr));
}

TEST_F(DeviceTest, RefusesUnknownBackends) {
  moe_device other = 0;
  EXPECT_MOE_REFUSED(MOE_UNSUPPORTED, "'abacus'", moe_device_open("abacus", 0, &other));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "backend is null", moe_device_open(nullptr, 0, &other));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "ordinal is 64", moe_device_open(backend_under_test(), 64, &other));
}

TEST_F(DeviceTest, MemoryIsAlignedReusedAndCounted) {
  void* first = nullptr;
  ASSERT_MOE_OK(moe_memory_allocate(device, 5 << 20, &first));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % 64, 0u);
  moe_memory_usage usage{};
  usage.struct_size = sizeof(usage);
  ASSERT_MOE_OK(moe_memory_usage_get(device, &usage));
  EXPECT_GE(usage.in_use, 5 << 20);
  ASSERT_MOE_OK(moe_memory_free(device, first));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "already freed", moe_memory_free(device, first));
  void* second = nullptr;
  ASSERT_MOE_OK(moe_memory_allocate(device, 5 << 20, &second));
  EXPECT_EQ(first, second);
  ASSERT_MOE_OK(moe_memory_free(device, second));
  ASSERT_MOE_OK(moe_memory_trim(device));
  ASSERT_MOE_OK(moe_memory_usage_get(device, &usage));
  EXPECT_EQ(usage.in_use, 0);
  EXPECT_EQ(usage.cached, 0);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "bytes is -1", moe_memory_allocate(device, -1, &first));
  EXPECT_MOE_REFUSED(MOE_OUT_OF_MEMORY, "were asked for", moe_memory_allocate(device, INT64_MAX, &first));
}

TEST_F(DeviceTest, FreesItsOwnMemoryAlone) {
  moe_device other = 0;
  void* memory = nullptr;
  int64_t mine = 0;
  ASSERT_MOE_OK(moe_device_open(backend_under_test(), 0, &other));
  ASSERT_MOE_OK(moe_memory_allocate(other, 64, &memory));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "memory is null", moe_memory_free(device, nullptr));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "was not allocated by this device", moe_memory_free(device, &mine));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "was not allocated by this device", moe_memory_free(device, memory));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "was not allocated by this device",
                     moe_memory_free(other, static_cast<char*>(memory) + 1));
  EXPECT_MOE_OK(moe_memory_free(other, memory));
  EXPECT_MOE_OK(moe_device_close(other));
}

TEST_F(DeviceTest, ScratchMemoryOfStreamsIsCounted) {
  const Tensor x = Tensor::of(MOE_FLOAT32, {2}, {3, 4}), sum(MOE_FLOAT32, {1});
  ASSERT_MOE_OK(moe_square_sum(stream, x, sum));
  ASSERT_MOE_OK(moe_stream_synchronize(stream));
  moe_memory_usage usage{};
  usage.struct_size = sizeof(usage);
  ASSERT_MOE_OK(moe_memory_usage_get(device, &usage));
  EXPECT_GT(usage.in_use, 0);
  ASSERT_MOE_OK(moe_stream_destroy(stream));
  ASSERT_MOE_OK(moe_memory_usage_get(device, &usage));
  EXPECT_EQ(usage.in_use, 0);
}

TEST_F(DeviceTest, TenThousandStepsLeaveMemoryAsItWas) {
  moe_memory_usage warm{}, usage{};
  warm.struct_size = usage.struct_size = sizeof(usage);
  for (int step = 0; step < 10000; ++step) {
    void* memory[3] = {};
    const int64_t sizes[3] = {64, 4000, 100 + step % 7 * 1000};
    for (int i = 0; i < 3; ++i) {
      ASSERT_MOE_OK(moe_memory_allocate(device, sizes[i], &memory[i]));
      const moe_tensor y{sizeof(moe_tensor), MOE_FLOAT32, memory[i], 64, 1, MOE_ROW_MAJOR, {16}};
      ASSERT_MOE_OK(moe_fill(stream, 1, &y));
    }
    ASSERT_MOE_OK(moe_stream_synchronize(stream));
    for (void* block : memory) ASSERT_MOE_OK(moe_memory_free(device, block));
    if (step == 100) {
      ASSERT_MOE_OK(moe_memory_usage_get(device, &warm));
    }
  }
  ASSERT_MOE_OK(moe_memory_usage_get(device, &usage));
  EXPECT_EQ(usage.in_use, 0);
  EXPECT_EQ(usage.cached, warm.cached);
  EXPECT_EQ(usage.peak, warm.peak);
}

TEST_F(DeviceTest, RefusesBrokenDescriptors) {
  Tensor a = Tensor::random(MOE_FLOAT32, {2, 3}, 1), b(MOE_FLOAT32, {2, 3});
  EXPECT_MOE_OK(moe_memory_copy(stream, a, b));
  expect_same_bits(a, b);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "src is null", moe_memory_copy(stream, nullptr, b));
  Tensor c(MOE_FLOAT32, {2, 3});
  c.view().bytes = 23;
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "needs 24 bytes", moe_memory_copy(stream, a, c));
  c.view() = b.view();
  c.view().shape[0] = INT64_MAX / 2;
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "overflows", moe_memory_copy(stream, a, c));
  c.view() = b.view();
  c.view().shape[1] = -3;
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "negative", moe_memory_copy(stream, a, c));
  c.view() = b.view();
  c.view().dtype = 99;
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "unknown dtype 99", moe_memory_copy(stream, a, c));
  c.view() = b.view();
  c.view().rank = 5;
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "rank 5", moe_memory_copy(stream, a, c));
  c.view() = b.view();
  c.view().struct_size = 8;
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "struct_size 8", moe_memory_copy(stream, a, c));
  c.view() = b.view();
  c.view().data = static_cast<char*>(c.view().data) + 1;
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "aligned", moe_memory_copy(stream, a, c));
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "share memory", moe_memory_copy(stream, a, a));
}

TEST_F(DeviceTest, LastErrorIsCutToTheBuffer) {
  EXPECT_EQ(moe_stream_synchronize(1), MOE_INVALID_HANDLE);
  char small[8];
  const int64_t needed = moe_last_error(small, sizeof(small));
  EXPECT_GT(needed, 8);
  EXPECT_EQ(std::strlen(small), 7u);
}

}  // namespace
}  // namespace moe::testing
