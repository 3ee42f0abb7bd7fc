// The host's check of the gate's inputs; runs after a kernel refused a value.
#pragma once

#include <deque>
#include <utility>
#include <vector>

#include "core/gate_values.h"
#include "cuda/device/host_tensor.h"
#include "cuda/device/stream.h"

namespace moe::cuda {

inline void keep_gate_checks(CudaStream& stream, const moe_gate_inputs& inputs) {
  using Member = OptionalTensor moe_gate_inputs::*;
  std::vector<std::pair<Member, moe_tensor>> given;  // copies of the descriptors, since the caller's may be gone
  for (const Member member : {&moe_gate_inputs::logits, &moe_gate_inputs::used, &moe_gate_inputs::bias,
                              &moe_gate_inputs::noise, &moe_gate_inputs::priority}) {
    if (inputs.*member != nullptr) given.emplace_back(member, *(inputs.*member));
  }
  stream.keep_checks([given] {
    moe_gate_inputs in{};
    std::deque<HostTensor> values;
    for (const auto& [member, tensor] : given) in.*member = &values.emplace_back(tensor);
    check_gate_values(in);
  });
}

}  // namespace moe::cuda
