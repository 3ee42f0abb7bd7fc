#pragma once

namespace moe::cpu {

// Whether the L1 cache waits for so many lines at once that weights can come to it from memory while the kernels read
// rows from the L2 cache: on AMD's family 1Ah (Zen 5). On a Zen 4 rows then wait as well; others were not measured.
bool waits_for_many_lines();

}  // namespace moe::cpu
