// The CUDA backend when CUDA functions fail: the emulation fails on request.
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "test/emulation.h"

namespace moe::testing {
namespace {

// CUDA's error codes.
enum CudaError {
  kMemoryAllocation = 2,
  kInsufficientDriver = 35,
  kDevicesUnavailable = 46,
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
    ::unsetenv("PANAMOE_CUDA_MANAGED");
    occupy(0);
  }

  // Makes the function fail after `skip` more calls.
  void fail(const char* function, CudaError error, int skip = 0) {
    emulation_function<void(const char*, int, int)>("simt_fail")(function, error, skip);
  }
  // Takes `bytes` of every GPU, like another process.
  void occupy(uint64_t bytes) { emulation_function<void(uint64_t)>("simt_occupy")(bytes); }
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
  EXPECT_MOE_REFUSED(MOE_UNSUPPORTED, "the NVIDIA driver finds no GPU", open());
  fail("cudaSetDevice", kDevicesUnavailable);
  EXPECT_MOE_REFUSED(MOE_UNSUPPORTED, "GPU 0 (emulated CUDA device): choosing the GPU: another process holds the GPU",
                     open());
  fail("cudaGetDeviceProperties", kIllegalAddress, 1);  // not its next call: opening must continue normally
  EXPECT_MOE_OK(open());
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "ordinal is 4; this machine has 4 GPUs", [] {
    moe_device other = 0;
    return moe_device_open("simt", 4, &other);
  }());
  std::thread([&] {  // uses up the remaining failure, which makes this thread unusable
    moe_device other = 0;
    EXPECT_MOE_REFUSED(MOE_DEVICE_FAILED, "describing the GPU: an illegal memory access was encountered",
                       moe_device_open("simt", 0, &other));
  })
      .join();
}

TEST_F(EmulatedFailureTest, AllocationTriesAgainWithoutItsCacheAndThenSaysSo) {
  ASSERT_MOE_OK(open());
  void* memory = nullptr;
  fail("cudaMalloc", kMemoryAllocation);
  EXPECT_MOE_REFUSED(MOE_OUT_OF_MEMORY, "GPU 0 (emulated CUDA device): allocating memory: the GPU has no memory left",
                     moe_memory_allocate(device, 1000, &memory));
  EXPECT_EQ(in_use(), 0);
  ASSERT_MOE_OK(moe_memory_allocate(device, 1000, &memory));
  ASSERT_MOE_OK(moe_memory_free(device, memory));
  fail("cudaMalloc", kMemoryAllocation);
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

TEST_F(EmulatedFailureTest, EveryGpuHasItsOwnStreams) {
  ASSERT_MOE_OK(open());
  moe_device second = 0;
  ASSERT_MOE_OK(moe_device_open("simt", 1, &second));
  moe_stream streams[2] = {};
  ASSERT_MOE_OK(moe_stream_create(device, 1, &streams[0]));
  ASSERT_MOE_OK(moe_stream_create(second, 1, &streams[1]));
  for (int round = 0; round < 4; ++round) {  // a launch on a stream of another GPU than the thread's is refused
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
  EXPECT_MOE_OK(moe_memory_allocate(device, 900 << 10, &second));  // memory kept for reuse makes room
  EXPECT_MOE_OK(moe_memory_free(device, second));
}

// The limit is the free memory, less 5 % of the GPU's memory.
TEST_F(EmulatedFailureTest, TheMemoryLimitFollowsFromWhatIsFree) {
  ASSERT_MOE_OK(open());
  moe_device_info info{};
  info.struct_size = sizeof(info);
  ASSERT_MOE_OK(moe_device_describe(device, &info));
  const int64_t kept = info.memory_total / 20, left = 3 << 20;
  EXPECT_EQ(info.memory_available, info.memory_total - kept);
  occupy(static_cast<uint64_t>(info.memory_total - kept - left));
  moe_device crowded = 0;
  void *memory = nullptr, *more = nullptr;
  ASSERT_MOE_OK(moe_device_open("simt", 0, &crowded));
  EXPECT_MOE_REFUSED(MOE_OUT_OF_MEMORY, "the limit of this device is " + std::to_string(left),
                     moe_memory_allocate(crowded, 4 << 20, &memory));
  EXPECT_MOE_OK(moe_memory_allocate(crowded, 2 << 20, &memory));
  ASSERT_MOE_OK(moe_device_describe(crowded, &info));
  EXPECT_EQ(info.memory_available, 1 << 20);
  EXPECT_MOE_REFUSED(MOE_OUT_OF_MEMORY, "2097152 of 3145728 are in use", moe_memory_allocate(crowded, 2 << 20, &more));
  occupy(static_cast<uint64_t>(info.memory_total - (2 << 20)));  // more than was free at opening
  EXPECT_MOE_REFUSED(MOE_OUT_OF_MEMORY, "the GPU has no memory left", moe_memory_allocate(crowded, 1 << 20, &more));
  EXPECT_MOE_OK(moe_device_close(crowded));
  occupy(static_cast<uint64_t>(info.memory_total - kept / 2));
  ASSERT_MOE_OK(moe_device_open("simt", 0, &crowded));
  EXPECT_MOE_REFUSED(MOE_OUT_OF_MEMORY, "the limit of this device is 0", moe_memory_allocate(crowded, 1, &memory));
  EXPECT_MOE_OK(moe_device_close(crowded));
}

// For models larger than a GPU: the limit may exceed the GPU's memory, and the host can access the tensors.
TEST_F(EmulatedFailureTest, ManagedMemoryIsTheHostsToo) {
  ::setenv("PANAMOE_CUDA_MANAGED", "1", 1);
  ::setenv("PANAMOE_CUDA_MEMORY_LIMIT", std::to_string(int64_t{1} << 40).c_str(), 1);
  ASSERT_MOE_OK(open());
  moe_stream stream = 0;
  void* memory = nullptr;
  ASSERT_MOE_OK(moe_stream_create(device, 1, &stream));
  fail("cudaMalloc", kMemoryAllocation);  // is not called for tensors
  ASSERT_MOE_OK(moe_memory_allocate(device, 64, &memory));
  const moe_tensor y{sizeof(moe_tensor), MOE_FLOAT32, memory, 64, 1, MOE_ROW_MAJOR, {16}};
  EXPECT_MOE_OK(moe_fill(stream, 3, &y));
  EXPECT_MOE_OK(moe_stream_synchronize(stream));
  EXPECT_EQ(static_cast<float*>(memory)[15], 3);
  static_cast<float*>(memory)[1] = 4;
  float read[2] = {};
  EXPECT_MOE_OK(moe_memory_read(stream, memory, sizeof(read), read));
  EXPECT_EQ(read[0], 3);
  EXPECT_EQ(read[1], 4);
  EXPECT_MOE_OK(moe_memory_free(device, memory));
  ::unsetenv("PANAMOE_CUDA_MANAGED");
  moe_device other = 0;
  ASSERT_MOE_OK(moe_device_open("simt", 0, &other));  // uses up the remaining failure
  EXPECT_MOE_REFUSED(MOE_OUT_OF_MEMORY, "the GPU has no memory left", moe_memory_allocate(other, 64, &memory));
  EXPECT_MOE_OK(moe_device_close(other));
}

TEST_F(EmulatedFailureTest, TransfersThatFailSaySo) {
  std::thread([this] {  // the thread becomes unusable with the GPU
    ASSERT_MOE_OK(open());
    moe_stream stream = 0;
    void* memory = nullptr;
    std::vector<uint8_t> host(64);
    ASSERT_MOE_OK(moe_stream_create(device, 1, &stream));
    ASSERT_MOE_OK(moe_memory_allocate(device, 64, &memory));
    fail("cudaMemcpyAsync", kMemoryAllocation);
    EXPECT_MOE_REFUSED(MOE_OUT_OF_MEMORY, "writing memory", moe_memory_write(stream, host.data(), 64, memory));
    fail("cudaMemcpyAsync", kMemoryAllocation);
    EXPECT_MOE_REFUSED(MOE_OUT_OF_MEMORY, "reading memory", moe_memory_read(stream, memory, 64, host.data()));
    fail("cudaMemsetAsync", kIllegalAddress);
    EXPECT_MOE_REFUSED(MOE_DEVICE_FAILED, "zeroing memory: an illegal memory access was encountered",
                       moe_memory_zero(stream, memory, 64));
    EXPECT_MOE_REFUSED(MOE_DEVICE_FAILED, "end this process", moe_memory_write(stream, host.data(), 64, memory));
    EXPECT_MOE_REFUSED(MOE_DEVICE_FAILED, "end this process", moe_memory_read(stream, memory, 64, host.data()));
    EXPECT_MOE_OK(moe_device_close(std::exchange(device, 0)));
  })
      .join();
}

// A step that the GPU has no memory for leaves the tensors unchanged and can be repeated.
TEST_F(EmulatedFailureTest, AStepWithoutMemoryLeavesItsTensors) {
  ASSERT_MOE_OK(open());
  moe_stream stream = 0;
  void *memory = nullptr, *more = nullptr;
  ASSERT_MOE_OK(moe_stream_create(device, 1, &stream));
  ASSERT_MOE_OK(moe_memory_allocate(device, 8, &memory));
  const float values[] = {3, 4};
  float read[2] = {}, total = 0;
  ASSERT_MOE_OK(moe_memory_write(stream, values, sizeof(values), memory));
  const moe_tensor x{sizeof(moe_tensor), MOE_FLOAT32, memory, 8, 1, MOE_ROW_MAJOR, {2}};
  fail("cudaMalloc", kMemoryAllocation);
  EXPECT_MOE_REFUSED(MOE_OUT_OF_MEMORY, "the GPU has no memory left", moe_memory_allocate(device, 4096, &more));
  fail("cudaMalloc", kMemoryAllocation);
  const Tensor sum(MOE_FLOAT32, {1});
  EXPECT_MOE_REFUSED(MOE_OUT_OF_MEMORY, "the GPU has no memory left", moe_square_sum(stream, &x, sum));
  ASSERT_MOE_OK(moe_memory_read(stream, memory, sizeof(read), read));
  EXPECT_EQ(read[0], 3);
  EXPECT_EQ(read[1], 4);
  EXPECT_MOE_OK(moe_square_sum(stream, &x, sum));
  EXPECT_MOE_OK(moe_memory_read(stream, sum.data<float>(), sizeof(total), &total));
  EXPECT_EQ(total, 25);
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

TEST_F(EmulatedFailureTest, ASettingThatIsNeither0Nor1IsRefused) {
  moe_device unused = 0;
  for (const char* name : {"PANAMOE_CUDA_MANAGED", "PANAMOE_CUDA_WGMMA"}) {
    ::setenv(name, "2", 1);
    EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, std::string(name) + " is '2', expected 0 or 1", open());
    ::setenv(name, "", 1);
    EXPECT_MOE_OK(moe_device_open("simt", 0, &unused));
    EXPECT_MOE_OK(moe_device_close(unused));
    ::unsetenv(name);
  }
  ASSERT_MOE_OK(open());
  moe_stream stream = 0;
  ::setenv("PANAMOE_CUDA_SYNCHRONOUS", "yes", 1);
  EXPECT_MOE_REFUSED(MOE_INVALID_ARGUMENT, "PANAMOE_CUDA_SYNCHRONOUS is 'yes'", moe_stream_create(device, 1, &stream));
  ::unsetenv("PANAMOE_CUDA_SYNCHRONOUS");
}

TEST_F(EmulatedFailureTest, AStreamThatCannotBeMadeIsRefused) {
  ASSERT_MOE_OK(open());
  moe_stream stream = 0;
  fail("cudaStreamCreateWithFlags", kMemoryAllocation);
  EXPECT_MOE_REFUSED(MOE_OUT_OF_MEMORY, "creating a stream", moe_stream_create(device, 1, &stream));
  for (int skip = 0; skip < 2; ++skip) {
    fail("cudaHostAlloc", kMemoryAllocation, skip);
    EXPECT_MOE_REFUSED(MOE_OUT_OF_MEMORY, "allocating pinned memory", moe_stream_create(device, 1, &stream));
  }
  fail("cudaEventCreateWithFlags", kMemoryAllocation, 2);
  EXPECT_MOE_REFUSED(MOE_OUT_OF_MEMORY, "creating an event", moe_stream_create(device, 1, &stream));
  EXPECT_MOE_OK(moe_stream_create(device, 1, &stream));
}

TEST_F(EmulatedFailureTest, AKernelWithoutScratchMemoryIsRefusedAndTheNextOneRuns) {
  ASSERT_MOE_OK(open());
  moe_stream stream = 0;
  ASSERT_MOE_OK(moe_stream_create(device, 1, &stream));
  const Tensor x = Tensor::of(MOE_FLOAT32, {2}, {3, 4}), sum(MOE_FLOAT32, {1});
  fail("cudaMalloc", kMemoryAllocation);
  EXPECT_MOE_REFUSED(MOE_OUT_OF_MEMORY, "allocating memory", moe_square_sum(stream, x, sum));
  EXPECT_MOE_OK(moe_square_sum(stream, x, sum));
  EXPECT_EQ(sum[0], 25);
}

// On a thread of its own: a lost context ends a process's CUDA, in the emulation a thread's.
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
                       "GPU 0 (emulated CUDA device): fill: an illegal memory access was encountered "
                       "(cudaErrorIllegalAddress); the GPU's context may be lost, end this process",
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
