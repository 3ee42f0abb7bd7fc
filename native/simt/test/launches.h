// Launches of kernels in the tests of the emulation.
#pragma once

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "cuda/device/launcher.h"

namespace simt {

constexpr int kLaunches = 20;  // each has another random order of threads

template <typename... Parameters, typename... Arguments>
cudaError_t run(unsigned threads, size_t shared_bytes, void (*kernel)(Parameters...), Arguments&&... arguments) {
  cudaLaunchConfig_t config;
  config.blockDim = threads;
  config.dynamicSmemBytes = shared_bytes;
  return cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...);
}

// The message of a kernel's failure, in one of some launches. Runs on a thread of its own, because nothing works on it
// after the failure.
inline std::string failure_of(const std::function<cudaError_t()>& launch) {
  std::string text;
  std::thread([&] {
    cudaError_t error = cudaSuccess;
    for (int i = 0; i < kLaunches && error == cudaSuccess; ++i) error = launch();
    EXPECT_EQ(error, cudaErrorLaunchFailure);
    text = cudaGetErrorString(error);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorLaunchFailure) << "a device does not recover";
  }).join();
  return text;
}

}  // namespace simt
