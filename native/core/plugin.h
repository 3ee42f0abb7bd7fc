// Backends in libraries of their own, opened when they are asked for: a machine without CUDA needs none of it.
#pragma once

#include <memory>
#include <string_view>

#include "core/device.h"

namespace moe {

// Opens a device of libpanamoe_<backend>.so, which lies beside this library. Throws Error with the file that was looked
// for and why it does not serve.
std::shared_ptr<Device> open_plugin(std::string_view backend, int ordinal);

}  // namespace moe
