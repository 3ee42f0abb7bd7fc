#include "core/stream.h"

#include "core/device.h"
#include "core/error.h"

namespace moe {

Stream::Stream(std::shared_ptr<Device> device, size_t alignment, bool asynchronous)
    : device_(std::move(device)), arena_(device_.get(), alignment, asynchronous) {}

namespace {
[[noreturn]] void refuse_graphs() { fail(MOE_UNSUPPORTED, "this backend makes no graphs"); }
}  // namespace

void Stream::begin_graph() { refuse_graphs(); }
std::shared_ptr<Graph> Stream::end_graph(std::shared_ptr<Stream>) { refuse_graphs(); }
void Stream::launch_graph(Graph&) { refuse_graphs(); }

void* Stream::native() { fail(MOE_UNSUPPORTED, "this backend's streams are its own: no other library can use them"); }

}  // namespace moe
