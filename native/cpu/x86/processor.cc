#include "cpu/processor.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "cpu/x86/cpuid.h"

namespace moe::cpu {
namespace {

// Whether there are tiles for a kind of products, a bit of CPUID's leaf 7, and this process may use them.
bool has_tiles(unsigned products) {
  if (!has_all(cpuid(7).edx, bits(24) | products)) return false;
  // A process must ask Linux for permission to use tiles, once for all threads: they add 8 KB to a thread's state.
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

bool has_tile_unit() {
  static const bool has = has_tiles(bits(22));
  return has;
}

bool has_int8_tile_unit() {
  static const bool has = has_tiles(bits(25));
  return has;
}

bool has_byte_dot() {
  static const bool has = [] {
    const Cpuid features = cpuid(7);
    if (has_all(features.ebx, bits(16)) && system_keeps(Vectors::k512)) return has_all(features.ecx, bits(11));
    return has_all(cpuid(7, 1).eax, bits(4)) && system_keeps(Vectors::k256);  // AVX-VNNI
  }();
  return has;
}

}  // namespace moe::cpu
