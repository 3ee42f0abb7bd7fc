#include "cpu/processor.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace moe::cpu {
namespace {

struct Registers {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// What cpuid says of a leaf; zeros where there is none.
Registers cpuid(unsigned leaf) {
  Registers r;
  if (__get_cpuid_count(leaf, 0, &r.eax, &r.ebx, &r.ecx, &r.edx) == 0) return {};
  return r;
}

bool is_amd() {
  static const bool amd = cpuid(0).ebx == signature_AMD_ebx;
  return amd;
}

}  // namespace

bool waits_for_many_lines() {
  static const bool waits = [] {
    const unsigned version = cpuid(1).eax;
    return is_amd() && (version >> 8 & 0xf) + (version >> 20 & 0xff) == 0x1a;  // base and extended family
  }();
  return waits;
}

bool streams_past_caches() { return is_amd(); }

bool gathers_rows_first() { return !is_amd(); }

bool has_tile_unit() {
  static const bool has = [] {
    constexpr unsigned kTiles = 1u << 24, kBfloat16Tiles = 1u << 22;
    if ((~cpuid(7).edx & (kTiles | kBfloat16Tiles)) != 0) return false;
    // Tiles make a thread's state so much larger that Linux has a process ask for them: for all its threads, once.
    constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  }();
  return has;
}

}  // namespace moe::cpu
