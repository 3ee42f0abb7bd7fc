// Backends in libraries of their own, opened on demand, so that a machine without CUDA needs nothing from it.
#pragma once

#include <memory>
#include <string_view>

#include "core/device.h"

namespace moe {

// Opens a device of libpanamoe_<backend>.so, which is next to this library. Throws Error that names the file and says
// why it cannot be used.
std::shared_ptr<Device> open_plugin(std::string_view backend, int ordinal);

}  // namespace moe
