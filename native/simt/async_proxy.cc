#include "simt/async_proxy.h"

#include <cstring>
#include <stdexcept>
#include <utility>

#include "simt/counters.h"
#include "simt/shared.h"

namespace simt {

void AsyncProxy::start(unsigned char* shared, size_t bytes, size_t address, std::mt19937_64& random) {
  shared_ = shared;
  bytes_ = bytes;
  address_ = address;
  random_ = &random;
  seen_.clear();
  noted_.clear();
  written_.clear();
  mbarriers_.clear();
  in_flight_.clear();
  products_.clear();
  warpgroups_.clear();
}

uint32_t AsyncProxy::address_of(const void* address) const {
  const auto* byte = static_cast<const unsigned char*>(address);
  if (byte < shared_ || byte > shared_ + bytes_) throw std::runtime_error("not an address of dynamic shared memory");
  return static_cast<uint32_t>(address_ + static_cast<size_t>(byte - shared_));
}

unsigned char* AsyncProxy::within(uint32_t address, size_t bytes, const char* user) const {
  if (address < address_ || address + bytes > address_ + bytes_) {
    throw std::runtime_error(std::string(user) + " reaches beyond shared memory, to address " +
                             std::to_string(address));
  }
  return shared_ + (address - address_);
}

void AsyncProxy::require_same(uint32_t address, size_t bytes, const char* user) {
  const unsigned char* now = within(address, bytes, user);
  if (seen_.empty()) seen_.assign(bytes_, kUnwritten);
  if (std::memcmp(now, &seen_[address - address_], bytes) == 0) return;
  throw std::runtime_error(std::string(user) + " of shared memory that threads wrote without fence.proxy.async");
}

void AsyncProxy::read(uint32_t address, void* to, size_t bytes, const char* reader) {
  require_same(address, bytes, reader);
  std::memcpy(to, within(address, bytes, reader), bytes);
}

void AsyncProxy::write(uint32_t address, const void* from, size_t bytes, const char* writer) {
  require_same(address, bytes, writer);
  std::memcpy(within(address, bytes, writer), from, bytes);
  std::memcpy(&seen_[address - address_], from, bytes);
  if (!noted_.empty()) std::memcpy(&noted_[address - address_], from, bytes);
}

void AsyncProxy::note_changes(const Thread* thread) {
  if (std::memcmp(shared_, noted_.data(), bytes_) == 0) return;
  for (size_t i = 0; i < bytes_; ++i) {
    if (shared_[i] != noted_[i]) written_[thread].push_back(i);
  }
  noted_.assign(shared_, shared_ + bytes_);
}

void AsyncProxy::fence(const Thread* thread) {
  if (kCounted) return;
  if (noted_.empty()) {
    noted_.assign(shared_, shared_ + bytes_);
    seen_ = noted_;
    return;
  }
  note_changes(thread);
  for (size_t i : written_[thread]) seen_[i] = shared_[i];
  written_[thread].clear();
}

void AsyncProxy::start_mbarrier(uint64_t* address, int arrivals, const Thread* starter) {
  if (arrivals < 1) throw std::runtime_error("mbarrier.init with " + std::to_string(arrivals) + " arrivals");
  if (mbarriers_.contains(address)) throw std::runtime_error("mbarrier.init of a barrier that has started");
  Mbarrier& barrier = mbarriers_[address];
  barrier.arrivals_of_phase = barrier.arrivals = arrivals;
  barrier.mark = *address = (*random_)();
  barrier.starter = starter;
}

void AsyncProxy::announce_mbarriers(const Thread* starter) {
  for (auto& [address, barrier] : mbarriers_) barrier.announced |= barrier.starter == starter;
}

Mbarrier& AsyncProxy::mbarrier(uint64_t* address) {
  const auto found = mbarriers_.find(address);
  if (found == mbarriers_.end()) throw std::runtime_error("an mbarrier is used that has not started");
  if (*address != found->second.mark) throw std::runtime_error("an mbarrier is used that was overwritten");
  return found->second;
}

void AsyncProxy::launch(std::function<void()> effect) { in_flight_.push_back({std::move(effect), toss()}); }

bool AsyncProxy::land_some(bool any) {
  if (in_flight_.empty()) return false;
  std::vector<Effect> stay, land;
  for (Effect& effect : in_flight_) (!effect.late && toss() ? land : stay).push_back(std::move(effect));
  if (any && land.empty()) {
    std::swap(stay[(*random_)() % stay.size()], stay.back());
    land.push_back(std::move(stay.back()));
    stay.pop_back();
  }
  in_flight_ = std::move(stay);
  for (const Effect& effect : land) effect.run();
  return !land.empty();
}

std::string AsyncProxy::unfinished() const {
  if (!in_flight_.empty()) return "the block has ended with copies by TMA in flight";
  for (const auto& [warp, products] : products_) {
    if (!products.issued.empty()) return "warp " + std::to_string(warp) + " has ended with wgmma in flight";
  }
  for (const auto& [number, group] : warpgroups_) {
    for (size_t issued : group.issued) {
      if (issued != group.products.size()) return "warps of a warpgroup have issued different numbers of wgmma";
    }
  }
  return {};
}

}  // namespace simt
