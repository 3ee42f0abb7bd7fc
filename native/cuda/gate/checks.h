// The host's check of the gate's input, run once the kernels have refused a value.
#pragma once

#include <optional>

#include "core/gate_values.h"
#include "cuda/stream.h"

namespace moe::cuda {

// Keeps copies of the descriptors: the caller's are gone by then.
inline void keep_gate_checks(CudaStream& stream, const moe_gate_inputs& inputs) {
  const auto copied = [](OptionalTensor tensor) {
    return tensor == nullptr ? std::nullopt : std::optional<moe_tensor>(*tensor);
  };
  stream.keep_checks([in = inputs, logits = *inputs.logits, used = copied(inputs.used), bias = copied(inputs.bias),
                      noise = copied(inputs.noise), priority = copied(inputs.priority)]() mutable {
    in.logits = &logits;
    const auto point = [](OptionalTensor& member, const std::optional<moe_tensor>& copy) {
      if (copy) member = &*copy;
    };
    point(in.used, used);
    point(in.bias, bias);
    point(in.noise, noise);
    point(in.priority, priority);
    check_gate_values(in);
  });
}

}  // namespace moe::cuda
