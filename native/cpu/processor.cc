#include "cpu/processor.h"

#include <unistd.h>

namespace moe::cpu {
namespace {

int64_t cache_bytes(int name, int64_t otherwise) {
  const long bytes = sysconf(name);
  return bytes > 0 ? bytes : otherwise;
}

}  // namespace

int64_t l1_bytes() {
  static const int64_t bytes = cache_bytes(_SC_LEVEL1_DCACHE_SIZE, 32768);
  return bytes;
}

int64_t l2_bytes() {
  static const int64_t bytes = cache_bytes(_SC_LEVEL2_CACHE_SIZE, 524288);
  return bytes;
}

}  // namespace moe::cpu
