// The CUDA backend when CUDA fails: the emulation fails on request.
#include <thread>
#include <utility>

#include "test/emulation.h"

namespace moe::testing {
namespace {

// CUDA's numbers for its errors.
enum CudaError {
  kMemoryAllocation = 2,
  kInsufficientDriver = 35,
  kNoDevice = 100,
  kNotReady = 600,
  kIllegalAddress = 700
};

class EmulatedFailureTest : public ::testing::Test {
 protected:
  void TearDown() override {
    if (device != 0) {
      EXPECT_MOE_OK(moe_device_close(device));
    }
    ::unsetenv("PANAMOE_CUDA_MEMORY_LIMIT");
  }

  // The function fails after `skip` more calls.
  void fail(const char* function, CudaError error, int skip = 0) {
    emulation_function<void(const char*, int, int)>("simt_fail")(function, error, skip);
  }
  moe_status open() { return moe_device_open("simt", 0, &device); }
  int64_t in_use() {
    moe_memory_usage usage{};
    usage.struct_size = sizeof(usage);
    EXPECT_MOE_OK(moe_memory_usage_get(device, &usage));
    return usage.in_use;
  }

  moe_device device = 0;
};

TEST_F(EmulatedFailureTest, OpeningSaysWhatIsMissing) {
  fail("cudaDriverGetVersion", kInsufficientDriver);
  EXPECT_MOE_REFUSED(MOE_UNSUPPORTED, "no NVIDIA driver: libcuda.so.1 was not found", open());
  fail("cudaGetDeviceCount", kInsufficientDriver);
  EXPECT_MOE_REFUSED(MOE_UNSUPPORTED, "update the driver", open());
  fail("cudaGetDeviceCount", kNoDevice);
  EXPECT_MOE_REFUSED(MOE_UNSUPPORTED, "the NVIDIA driver finds no card", open());
  fail("cudaGetDeviceProperties", kIllegalAddress, 1);  // not its next call: opening goes on as if nothing had been
  EXPECT_MOE_OK(open());
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "ordinal is 4; this machine has 4 cards", [] {
    moe_device other = 0;
    return moe_device_open("simt", 4, &other);
  }());
  std::thread([&] {  // takes the failure that is left, and is lost with it
    moe_device other = 0;
    EXPECT_MOE_REFUSED(MOE_DEVICE_FAILED, "describing the card: an illegal memory access was encountered",
                       moe_device_open("simt", 0, &other));
  })
      .join();
}

TEST_F(EmulatedFailureTest, AllocationTriesAgainWithoutItsCacheAndThenSaysSo) {
  ASSERT_MOE_OK(open());
  void* memory = nullptr;
  fail("cudaMallocManaged", kMemoryAllocation);
  EXPECT_MOE_REFUSED(MOE_OUT_OF_MEMORY, "allocating memory: the card has no memory left",
                     moe_memory_allocate(device, 1000, &memory));
  EXPECT_EQ(in_use(), 0);
  ASSERT_MOE_OK(moe_memory_allocate(device, 1000, &memory));
  ASSERT_MOE_OK(moe_memory_free(device, memory));
  fail("cudaMallocManaged", kMemoryAllocation);
  EXPECT_MOE_OK(moe_memory_allocate(device, 100000, &memory));
  EXPECT_GE(in_use(), 100000);
  EXPECT_MOE_OK(moe_memory_free(device, memory));
}

TEST_F(EmulatedFailureTest, AStreamThatIsAtWorkHasNotFinished) {
  ASSERT_MOE_OK(open());
  moe_stream stream = 0;
  ASSERT_MOE_OK(moe_stream_create(device, 1, &stream));
  int32_t finished = 1;
  fail("cudaStreamQuery", kNotReady);
  EXPECT_MOE_OK(moe_stream_query(stream, &finished));
  EXPECT_EQ(finished, 0);
  EXPECT_MOE_OK(moe_stream_query(stream, &finished));
  EXPECT_EQ(finished, 1);
}

TEST_F(EmulatedFailureTest, EveryCardHasItsOwnStreams) {
  ASSERT_MOE_OK(open());
  moe_device second = 0;
  ASSERT_MOE_OK(moe_device_open("simt", 1, &second));
  moe_stream streams[2] = {};
  ASSERT_MOE_OK(moe_stream_create(device, 1, &streams[0]));
  ASSERT_MOE_OK(moe_stream_create(second, 1, &streams[1]));
  for (int round = 0; round < 4; ++round) {  // a launch on a stream of another card than the thread's is refused
    void* memory = nullptr;
    ASSERT_MOE_OK(moe_memory_allocate(round % 2 == 0 ? device : second, 64, &memory));
    const moe_tensor y{sizeof(moe_tensor), MOE_FLOAT32, memory, 64, 1, MOE_ROW_MAJOR, {16}};
    EXPECT_MOE_OK(moe_fill(streams[round % 2], 1, &y));
  }
  EXPECT_MOE_OK(moe_device_close(second));
}

TEST_F(EmulatedFailureTest, TheMemoryLimitHolds) {
  ::setenv("PANAMOE_CUDA_MEMORY_LIMIT", "1048576", 1);
  ASSERT_MOE_OK(open());
  void *first = nullptr, *second = nullptr;
  EXPECT_MOE_REFUSED(MOE_OUT_OF_MEMORY, "2097152 bytes were asked for, the limit of this device is 1048576",
                     moe_memory_allocate(device, 2 << 20, &first));
  ASSERT_MOE_OK(moe_memory_allocate(device, 600 << 10, &first));
  EXPECT_MOE_REFUSED(MOE_OUT_OF_MEMORY, "of 1048576 are in use", moe_memory_allocate(device, 600 << 10, &second));
  ASSERT_MOE_OK(moe_memory_free(device, first));
  EXPECT_MOE_OK(moe_memory_allocate(device, 900 << 10, &second));  // what was kept for reuse makes room
  EXPECT_MOE_OK(moe_memory_free(device, second));
}

TEST_F(EmulatedFailureTest, TheMemoryLimitHoldsForScratchMemory) {
  ::setenv("PANAMOE_CUDA_MEMORY_LIMIT", "65536", 1);
  ASSERT_MOE_OK(open());
  moe_stream stream = 0;
  ASSERT_MOE_OK(moe_stream_create(device, 1, &stream));
  void* memory = nullptr;
  ASSERT_MOE_OK(moe_memory_allocate(device, 65536, &memory));
  const Tensor x = Tensor::of(MOE_FLOAT32, {2}, {3, 4}), sum(MOE_FLOAT32, {1});
  EXPECT_MOE_REFUSED(MOE_OUT_OF_MEMORY, "65536 of 65536 are in use", moe_square_sum(stream, x, sum));
  ASSERT_MOE_OK(moe_memory_free(device, memory));
  EXPECT_MOE_OK(moe_square_sum(stream, x, sum));
  EXPECT_EQ(sum[0], 25);
  EXPECT_GT(in_use(), 0);
  EXPECT_MOE_OK(moe_stream_destroy(stream));
  EXPECT_EQ(in_use(), 0);
}

TEST_F(EmulatedFailureTest, AnInvalidMemoryLimitIsRefused) {
  for (const char* text : {"12k", "0", "-5", "much"}) {
    ::setenv("PANAMOE_CUDA_MEMORY_LIMIT", text, 1);
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, std::string("PANAMOE_CUDA_MEMORY_LIMIT is '") + text + "'", open());
  }
  ::setenv("PANAMOE_CUDA_MEMORY_LIMIT", "", 1);
  EXPECT_MOE_OK(open());
}

TEST_F(EmulatedFailureTest, AStreamThatCannotBeMadeIsRefused) {
  ASSERT_MOE_OK(open());
  moe_stream stream = 0;
  fail("cudaStreamCreateWithFlags", kMemoryAllocation);
  EXPECT_MOE_REFUSED(MOE_OUT_OF_MEMORY, "creating a stream", moe_stream_create(device, 1, &stream));
  fail("cudaHostAlloc", kMemoryAllocation);
  EXPECT_MOE_REFUSED(MOE_OUT_OF_MEMORY, "allocating pinned memory", moe_stream_create(device, 1, &stream));
  EXPECT_MOE_OK(moe_stream_create(device, 1, &stream));
}

TEST_F(EmulatedFailureTest, AKernelWithoutScratchMemoryIsRefusedAndTheNextOneRuns) {
  ASSERT_MOE_OK(open());
  moe_stream stream = 0;
  ASSERT_MOE_OK(moe_stream_create(device, 1, &stream));
  const Tensor x = Tensor::of(MOE_FLOAT32, {2}, {3, 4}), sum(MOE_FLOAT32, {1});
  fail("cudaMallocManaged", kMemoryAllocation);
  EXPECT_MOE_REFUSED(MOE_OUT_OF_MEMORY, "allocating memory", moe_square_sum(stream, x, sum));
  EXPECT_MOE_OK(moe_square_sum(stream, x, sum));
  EXPECT_EQ(sum[0], 25);
}

// On a thread of its own: as a lost context loses its process, in the emulation it loses its thread.
TEST_F(EmulatedFailureTest, AfterAKernelHasFailedEveryCallSaysSo) {
  std::thread([this] {
    ASSERT_MOE_OK(open());
    moe_stream stream = 0, other = 0;
    ASSERT_MOE_OK(moe_stream_create(device, 1, &stream));
    void *memory = nullptr, *more = nullptr;
    ASSERT_MOE_OK(moe_memory_allocate(device, 64, &memory));
    const Tensor y(MOE_FLOAT32, {4});
    fail("cudaLaunchKernelExC", kIllegalAddress, 1);
    EXPECT_MOE_OK(moe_fill(stream, 1, y));
    EXPECT_MOE_REFUSED(MOE_DEVICE_FAILED,
                       "fill: an illegal memory access was encountered (cudaErrorIllegalAddress); the card's context "
                       "may be lost, end this process",
                       moe_fill(stream, 2, y));
    EXPECT_MOE_REFUSED(MOE_DEVICE_FAILED, "cudaErrorIllegalAddress", moe_fill(stream, 3, y));
    EXPECT_MOE_REFUSED(MOE_DEVICE_FAILED, "cudaErrorIllegalAddress", moe_stream_synchronize(stream));
    EXPECT_MOE_REFUSED(MOE_DEVICE_FAILED, "cudaErrorIllegalAddress", moe_memory_allocate(device, 4096, &more));
    EXPECT_MOE_REFUSED(MOE_DEVICE_FAILED, "cudaErrorIllegalAddress", moe_stream_create(device, 1, &other));
    EXPECT_MOE_OK(moe_memory_free(device, memory));
    EXPECT_EQ(y[0], 1);
    EXPECT_MOE_OK(moe_stream_destroy(stream));
    EXPECT_MOE_OK(moe_device_close(std::exchange(device, 0)));
  }).join();
}

}  // namespace
}  // namespace moe::testing
