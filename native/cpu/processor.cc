#include "cpu/processor.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace moe::cpu {
namespace {

int64_t cache_bytes(int name, int64_t otherwise) {
  const long bytes = sysconf(name);
  return bytes > 0 ? bytes : otherwise;
}

// Whether there are tiles for a kind of products, a bit of CPUID's leaf 7, and this process may use them.
bool has_tiles(unsigned products) {
  constexpr unsigned kTiles = 1u << 24;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  if ((~edx & (kTiles | products)) != 0) return false;
  // A process must ask Linux for permission to use tiles, once for all threads: they add 8 KB to a thread's state.
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
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

bool has_tile_unit() {
  static const bool has = has_tiles(1u << 22);
  return has;
}

bool has_int8_tile_unit() {
  static const bool has = has_tiles(1u << 25);
  return has;
}

bool has_byte_dot() {
  return __builtin_cpu_supports("avx512f") ? __builtin_cpu_supports("avx512vnni") : __builtin_cpu_supports("avxvnni");
}

}  // namespace moe::cpu
