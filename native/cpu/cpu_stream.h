// A stream of the CPU: what its kernels run on besides scratch memory.
#pragma once

#include <utility>

#include "core/stream.h"
#include "cpu/team.h"

namespace moe::cpu {

class CpuStream final : public Stream {
 public:
  CpuStream(std::shared_ptr<Device> device, int threads) : Stream(std::move(device), threads), team_(threads) {}

  Team& team() { return team_; }

 private:
  Team team_;
};

}  // namespace moe::cpu
