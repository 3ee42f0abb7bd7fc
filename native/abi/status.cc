#include "moe/status.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "core/error.h"

namespace moe {
namespace {
// A fixed buffer, because reporting a failure must not run out of memory itself.
thread_local char last_error[1024] = "";
}  // namespace

moe_status record_failure(const char* function, moe_status status, const char* message) noexcept {
  std::snprintf(last_error, sizeof(last_error), "%s: %s", function, message);
  return status;
}

}  // namespace moe

int32_t moe_abi_version(void) { return MOE_ABI_VERSION; }

int64_t moe_last_error(char* buffer, int64_t capacity) {
  const int64_t needed = static_cast<int64_t>(std::strlen(moe::last_error)) + 1;
  if (buffer != nullptr && capacity > 0) {
    const int64_t copied = std::min(needed, capacity) - 1;
    std::memcpy(buffer, moe::last_error, static_cast<size_t>(copied));
    buffer[copied] = '\0';
  }
  return needed;
}
