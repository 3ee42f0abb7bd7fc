// Copies of a tensor's values on the host, for its checks of what a kernel refused.
#pragma once

#include <vector>

#include "core/check.h"
#include "cuda/device/device.h"

namespace moe::cuda {

// A copy on the host of a row-major tensor of the current GPU; `data` points to it.
class HostTensor : public moe_tensor {
 public:
  explicit HostTensor(const moe_tensor& tensor)
      : moe_tensor(tensor), values_(static_cast<size_t>(element_count(tensor) * dtype_bytes(tensor.dtype))) {
    data = values_.data();
    require(cudaMemcpy(data, tensor.data, values_.size(), cudaMemcpyDefault), "reading refused values");
  }
  HostTensor(const HostTensor&) = delete;
  HostTensor& operator=(const HostTensor&) = delete;

 private:
  std::vector<char> values_;
};

}  // namespace moe::cuda
