#pragma once

#include <memory>

#include "core/device.h"

namespace moe::cpu {

// The machine's processors and memory as one device.
std::shared_ptr<Device> open();

}  // namespace moe::cpu
