#include "src/stream.h"

#include <cstdlib>
#include <new>

#include "src/error.h"

namespace moe {

Scratch::~Scratch() { std::free(memory_); }

void* Scratch::reserve(size_t bytes) {
  if (bytes > bytes_) {
    std::free(memory_);
    bytes_ = 0;
    const size_t rounded = (bytes + 4095) / 4096 * 4096;
    memory_ = std::aligned_alloc(4096, rounded);
    if (memory_ == nullptr) throw std::bad_alloc();
    bytes_ = rounded;
  }
  return memory_;
}

Stream::Stream(std::shared_ptr<Device> device, int threads)
    : device_(std::move(device)),
      threads_(threads),
      local_(std::make_unique<Scratch[]>(static_cast<size_t>(threads))) {}

namespace {
[[noreturn]] void refuse_graphs() { fail(MOE_UNSUPPORTED, "this backend makes no graphs"); }
}  // namespace

void Stream::begin_graph() { refuse_graphs(); }
std::shared_ptr<Graph> Stream::end_graph(std::shared_ptr<Stream>) { refuse_graphs(); }
void Stream::launch_graph(Graph&) { refuse_graphs(); }

void* Stream::native() { fail(MOE_UNSUPPORTED, "this backend's streams are its own: no other library can use them"); }

}  // namespace moe
