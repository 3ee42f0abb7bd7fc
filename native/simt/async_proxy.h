// The asynchronous units of a block: TMA and wgmma, which access shared memory through the "async proxy" of PTX. They
// see the writes of threads only after fence.proxy.async, and their effects land at random times.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "simt/mbarrier.h"

namespace simt {

constexpr int kWarp = 32;

// Products d += a b that a warp has issued to wgmma: descriptors of a and b, and each lane's registers d.
struct WarpProduct {
  uint64_t a, b;
  bool transposed_a;
  int columns;
  std::array<float*, kWarp> d;
};

// Products that a warp has in flight, oldest first.
struct WarpProducts {
  std::vector<WarpProduct> issued;
  std::vector<size_t> groups;                       // sizes of the committed groups, oldest first
  bool fenced = false;                              // wgmma.fence was called since the last wait
  std::map<const float*, std::vector<float>> left;  // registers as wgmma last left or found them
};

// The four warps of a warpgroup: descriptors of all products, and how many each warp has issued.
struct Warpgroup {
  std::vector<std::array<uint64_t, 2>> products;
  std::array<size_t, 4> issued{};
};

class AsyncProxy {
 public:
  // Starts a block whose dynamic shared memory has this address.
  void start(unsigned char* shared, size_t bytes, size_t address, std::mt19937_64& random);

  // The shared address (PTX) of memory in dynamic shared memory. Throws if it is outside.
  uint32_t address_of(const void* address) const;
  // A read by TMA or wgmma. Throws if threads have written that memory without a fence since.
  void read(uint32_t address, void* to, size_t bytes, const char* reader);
  void write(uint32_t address, const void* from, size_t bytes, const char* writer);
  // fence.proxy.async: makes this thread's earlier writes visible. The block's first one makes all earlier writes
  // visible, because whose they are is noted from then on.
  void fence(const Thread* thread);
  // Called when the thread has run.
  void note_writes(const Thread* thread) {
    if (!noted_.empty()) note_changes(thread);
  }

  void start_mbarrier(uint64_t* address, int arrivals, const Thread* starter);
  void announce_mbarriers(const Thread* starter);
  // The mbarrier at this address. Throws if none was initialized there.
  Mbarrier& mbarrier(uint64_t* address);

  // The effect lands at some later time; half of all effects land only when every thread waits.
  void launch(std::function<void()> effect);
  // Lands some effects in flight; at least one if `any`, because every thread waits. Returns whether one landed.
  bool land_some(bool any);
  // The error of a block that ended with work in flight; empty if all work had landed.
  std::string unfinished() const;
  bool toss() { return ((*random_)() & 1) != 0; }

  WarpProducts& products(int warp) { return products_[warp]; }
  Warpgroup& warpgroup(int warp) { return warpgroups_[warp / 4]; }

 private:
  struct Effect {
    std::function<void()> run;
    bool late;
  };

  unsigned char* within(uint32_t address, size_t bytes, const char* user) const;
  void note_changes(const Thread* thread);
  void require_same(uint32_t address, size_t bytes, const char* user);

  unsigned char* shared_ = nullptr;
  size_t bytes_ = 0, address_ = 0;
  std::vector<unsigned char> seen_;   // shared memory as the proxy sees it; empty before its first use
  std::vector<unsigned char> noted_;  // shared memory when a thread last stopped; empty before the block's first fence
  std::map<const Thread*, std::vector<size_t>> written_;  // bytes that each has written since its last fence
  std::mt19937_64* random_ = nullptr;
  std::map<const uint64_t*, Mbarrier> mbarriers_;
  std::vector<Effect> in_flight_;
  std::map<int, WarpProducts> products_;
  std::map<int, Warpgroup> warpgroups_;
};

}  // namespace simt
