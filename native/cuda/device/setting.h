// Environment variables that switch something on or off.
#pragma once

#include <cstdlib>
#include <optional>
#include <string_view>

#include "core/error.h"

namespace moe::cuda {

// The variable's value; nothing if it is unset or empty. Values other than 0 and 1 are refused.
inline std::optional<bool> setting(const char* name) {
  const char* text = std::getenv(name);
  const std::string_view value = text == nullptr ? "" : text;
  if (value.empty()) return std::nullopt;
  if (value != "0" && value != "1") invalid(name, " is '", value, "', expected 0 or 1");
  return value == "1";
}

}  // namespace moe::cuda
