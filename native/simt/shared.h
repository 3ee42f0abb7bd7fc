// The shared memory of a block: dynamic memory, and the variables that MOE_SHARED declares. Each is full of NaN when
// its block starts and lies between red zones: AddressSanitizer reports any access to them; without it, writes are
// found when the block ends.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace simt {

constexpr int kUnwritten = 0xff;  // every byte of shared memory at a block's start: NaN

class SharedMemory {
 public:
  static constexpr size_t kAlignment = 128;  // of dynamic memory
  static constexpr size_t kPeriod = 1024;    // the largest alignment that a kernel may assume

  SharedMemory();

  // Starts a block, whose variables and dynamic memory may have `most` bytes together. Dynamic memory begins `offset`
  // bytes, a multiple of kAlignment, after a multiple of kPeriod, like behind a GPU's static variables.
  void start(size_t bytes, size_t offset, size_t most);
  unsigned char* dynamic() const { return dynamic_; }
  size_t bytes() const { return bytes_; }

  // The variable declared at this site, the same for all threads of a block. Throws if the block has too many bytes.
  void* variable(const void* site, const char* name, size_t bytes, size_t alignment);

  bool holds(const void* address) const { return address >= memory_.get() && address < memory_.get() + kBytes; }
  // What a block that ended has written beyond; empty if nothing.
  std::string overrun() const;

 private:
  static constexpr size_t kMostDynamic = 228 << 10, kMostStatic = 48 << 10;
  static constexpr size_t kRedZone = 128;
  static constexpr size_t kStaticBegin = 3 * kPeriod + kMostDynamic;  // of the variables
  static constexpr size_t kBytes = kStaticBegin + 4 * kMostStatic;    // with room for red zones

  struct Variable {
    const void* site;
    const char* name;
    unsigned char* begin;
    size_t bytes;
  };

  std::unique_ptr<unsigned char, void (*)(void*)> memory_;
  unsigned char *dynamic_ = nullptr, *next_ = nullptr;  // next_: where the next variable begins
  size_t bytes_ = 0, static_bytes_ = 0, most_ = 0;
  std::vector<Variable> variables_;
};

}  // namespace simt
