#include "cuda/stream.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "src/error.h"

namespace moe::cuda {
namespace {

constexpr size_t kMostChecks = 256;

bool asked_for_synchronous() {
  const char* text = std::getenv("PANAMOE_CUDA_SYNCHRONOUS");
  return text != nullptr && std::strcmp(text, "1") == 0;
}

}  // namespace

CudaStream::CudaStream(std::shared_ptr<Device> device, CudaDevice& card)
    : Stream(std::move(device), 1), card_(card), synchronous_(asked_for_synchronous()) {
  require(cudaStreamCreateWithFlags(&handle_, cudaStreamNonBlocking), "creating a stream");
  void* memory = nullptr;
  const cudaError_t error = cudaHostAlloc(&memory, sizeof(int), cudaHostAllocMapped);
  if (error != cudaSuccess) cudaStreamDestroy(handle_);
  require(error, "allocating pinned memory");
  refused_ = static_cast<int*>(memory);
  *refused_ = 0;
}

CudaStream::~CudaStream() {
  cudaStreamSynchronize(handle_);
  cudaStreamDestroy(handle_);
  cudaFreeHost(refused_);
  for (const Scratch& slot : scratch_) cudaFree(slot.memory);
  for (void* memory : outgrown_) cudaFree(memory);
}

void* CudaStream::scratch(int slot, size_t bytes) {
  Scratch& kept = scratch_[slot];
  if (bytes > kept.bytes) {
    const size_t grown = std::max(bytes, kept.bytes * 2);
    void* memory = nullptr;
    require(cudaMalloc(&memory, grown), "allocating scratch memory");
    if (kept.memory != nullptr) outgrown_.push_back(kept.memory);
    kept = {memory, grown};
  }
  return kept.memory;
}

void CudaStream::keep_checks(std::function<void()> checks) {
  if (checks_.size() == kMostChecks) checks_.erase(checks_.begin(), checks_.begin() + kMostChecks / 2);
  checks_.push_back(std::move(checks));
}

void CudaStream::launched(cudaError_t error, const char* kernel) {
  require(error, kernel);
  if (synchronous_) require(cudaStreamSynchronize(handle_), kernel);
  if (*static_cast<volatile int*>(refused_) != 0) report_refusal();
}

void CudaStream::synchronize() {
  card_.make_current();
  require(cudaStreamSynchronize(handle_), "waiting for the stream");
  if (*refused_ != 0) report_refusal();
  checks_.clear();
}

void CudaStream::report_refusal() {
  require(cudaStreamSynchronize(handle_), "waiting for the stream");
  *refused_ = 0;
  const std::vector<std::function<void()>> checks = std::move(checks_);
  checks_.clear();
  for (const auto& check : checks) check();  // the first that throws has the words
  invalid("an earlier call was given a value out of range, which has changed since; "
          "PANAMOE_CUDA_SYNCHRONOUS=1 reports such a value with its call");
}

}  // namespace moe::cuda
