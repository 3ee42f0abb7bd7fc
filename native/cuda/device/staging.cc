#include "cuda/device/staging.h"

#include "cuda/device/device.h"
#include "cuda/device/frees.h"

namespace moe::cuda {

Staging::Staging() {
  void* memory = nullptr;
  require(cudaHostAlloc(&memory, kBytes, cudaHostAllocDefault), "allocating pinned memory");
  memory_ = static_cast<char*>(memory);
  for (cudaEvent_t& event : left_) {
    const cudaError_t error = cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    if (error != cudaSuccess) release();
    require(error, "creating an event");
  }
}

Staging::~Staging() { release(); }

void Staging::release() {
  for (cudaEvent_t event : left_) {
    if (event != nullptr) cudaEventDestroy(event);
  }
  Frees::of_process().free(memory_, cudaFreeHost);
}

char* Staging::next(int64_t bytes, cudaStream_t stream) {
  constexpr int64_t kLine = 64;  // two copies must not share a cache line
  if (used_ + bytes > kPartBytes) {
    require(cudaEventRecord(left_[part_], stream), "recording an event");
    part_ = (part_ + 1) % left_.size();
    require(cudaEventSynchronize(left_[part_]), "waiting for staged memory");
    used_ = 0;
  }
  char* taken = memory_ + static_cast<int64_t>(part_) * kPartBytes + used_;
  used_ += (bytes + kLine - 1) / kLine * kLine;
  return taken;
}

}  // namespace moe::cuda
