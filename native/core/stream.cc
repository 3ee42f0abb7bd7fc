#include "core/stream.h"

#include "core/device.h"
#include "core/error.h"

namespace moe {

Stream::Stream(std::shared_ptr<Device> device, int threads)
    : device_(std::move(device)),
      threads_(threads),
      local_(std::make_unique<Scratch[]>(static_cast<size_t>(threads))) {}

Stream::~Stream() {
  for (const Scratch& scratch : shared_) {
    if (scratch.memory != nullptr) device_->free(scratch.memory);
  }
  for (int member = 0; member < threads_; ++member) {
    if (local_[member].memory != nullptr) device_->free(local_[member].memory);
  }
}

void* Stream::reserve(Scratch& scratch, size_t bytes) {
  if (bytes > scratch.bytes) {
    void* outgrown = std::exchange(scratch, {}).memory;
    if (outgrown != nullptr) device_->free(outgrown);
    scratch = {device_->allocate(static_cast<int64_t>(bytes)), bytes};
  }
  return scratch.memory;
}

namespace {
[[noreturn]] void refuse_graphs() { fail(MOE_UNSUPPORTED, "this backend makes no graphs"); }
}  // namespace

void Stream::begin_graph() { refuse_graphs(); }
std::shared_ptr<Graph> Stream::end_graph(std::shared_ptr<Stream>) { refuse_graphs(); }
void Stream::launch_graph(Graph&) { refuse_graphs(); }

void* Stream::native() { fail(MOE_UNSUPPORTED, "this backend's streams are its own: no other library can use them"); }

}  // namespace moe
