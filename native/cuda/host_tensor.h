// A tensor's values in the host's memory, for the host's checks of what a kernel has refused.
#pragma once

#include <vector>

#include "core/check.h"
#include "cuda/device.h"

namespace moe::cuda {

// A row-major tensor on the current GPU, and a copy of its values, which `data` points to.
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
