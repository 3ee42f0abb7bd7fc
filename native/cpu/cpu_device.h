// The CPU as a device: all processors and the memory of the machine.
#pragma once

#include <memory>

#include "core/device.h"

namespace moe::cpu {

// Opens the CPU. Throws Error if PANAMOE_SIMD names an instruction set that this machine or library lacks.
std::shared_ptr<Device> open();

}  // namespace moe::cpu
