#include "simt/shared.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace simt {
namespace {

size_t rounded(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

#if defined(__SANITIZE_ADDRESS__)
void close(unsigned char* from, size_t bytes) { __asan_poison_memory_region(from, bytes); }
void open(unsigned char* from, size_t bytes) { __asan_unpoison_memory_region(from, bytes); }
bool is_closed(const unsigned char*, size_t) { return true; }
#else
constexpr unsigned char kClosed = 0x7f;  // huge numbers, for a thread that reads them
void close(unsigned char* from, size_t bytes) { std::memset(from, kClosed, bytes); }
void open(unsigned char*, size_t) {}
bool is_closed(const unsigned char* from, size_t bytes) {
  return std::all_of(from, from + bytes, [](unsigned char byte) { return byte == kClosed; });
}
#endif

// Opens memory between two red zones.
void open_between(unsigned char* from, size_t bytes, size_t red_zone) {
  close(from - red_zone, red_zone);
  open(from, bytes);
  std::memset(from, kUnwritten, bytes);
  close(from + bytes, red_zone);
}

}  // namespace

SharedMemory::SharedMemory()
    : memory_(static_cast<unsigned char*>(std::aligned_alloc(kPeriod, kBytes)), [](void* memory) {
        open(static_cast<unsigned char*>(memory), kBytes);
        std::free(memory);
      }) {
  if (memory_ == nullptr) throw std::bad_alloc();
}

void SharedMemory::start(size_t bytes, size_t offset, size_t most) {
#if defined(__SANITIZE_ADDRESS__)
  close(memory_.get(), kBytes);
#endif
  bytes_ = bytes;
  most_ = most;
  static_bytes_ = 0;
  variables_.clear();
  dynamic_ = memory_.get() + kPeriod + offset;
  open_between(dynamic_, bytes, kRedZone);
  next_ = memory_.get() + kStaticBegin;
}

void* SharedMemory::variable(const void* site, const char* name, size_t bytes, size_t alignment) {
  for (const Variable& variable : variables_) {
    if (variable.site == site) return variable.begin;
  }
  static_bytes_ = rounded(static_bytes_, alignment) + bytes;
  const size_t total = static_bytes_ + bytes_, most = static_bytes_ > kMostStatic ? kMostStatic : most_;
  if (static_bytes_ > kMostStatic || total > most_) {
    throw std::runtime_error(std::string("with ") + name + " the block has " + std::to_string(static_bytes_) +
                             " bytes of static and " + std::to_string(bytes_) +
                             " of dynamic shared memory, more than " + std::to_string(most));
  }
  variables_.push_back({site, name, next_, bytes});
  open_between(next_, bytes, kRedZone);
  next_ += rounded(bytes, kAlignment) + kRedZone;
  return variables_.back().begin;
}

std::string SharedMemory::overrun() const {
  const auto outside = [](const unsigned char* begin, size_t bytes) {
    return !is_closed(begin - kRedZone, kRedZone) || !is_closed(begin + bytes, kRedZone);
  };
  if (outside(dynamic_, bytes_)) return "a thread wrote outside dynamic shared memory";
  for (const Variable& variable : variables_) {
    if (outside(variable.begin, variable.bytes)) {
      return std::string("a thread wrote outside the shared variable ") + variable.name;
    }
  }
  return {};
}

}  // namespace simt
