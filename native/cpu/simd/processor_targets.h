// Which of Highway's targets this processor has.
#pragma once

#include <cstdint>

namespace moe::cpu {

// Highway's bits of the targets that the processor and its system offer, of those that the library is compiled for.
int64_t processor_targets();

}  // namespace moe::cpu
