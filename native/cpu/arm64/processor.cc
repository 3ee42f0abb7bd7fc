#include "cpu/processor.h"

namespace moe::cpu {

bool has_tile_unit() { return false; }
bool has_int8_tile_unit() { return false; }
bool has_byte_dot() { return false; }

}  // namespace moe::cpu
