#include "moe/device.h"

#include <cstring>
#include <string>

#include "core/check.h"
#include "core/device.h"
#include "core/plugin.h"
#include "core/weights.h"
#include "cpu/cpu_device.h"

namespace moe {
namespace {

// Leaked on purpose, like devices().
HandleTable<Graph>& graphs() {
  static auto* table = new HandleTable<Graph>(0x67, "graph");
  return *table;
}

constexpr int kMaxThreads = 1024;  // of a stream; Team::state_ counts workers in 12 bits

// Memory given without a descriptor.
void check_memory(const char* name, const void* memory, int64_t bytes) {
  if (bytes < 0) invalid("bytes is ", bytes, ", expected 0 or more");
  if (memory == nullptr && bytes > 0) invalid(name, " is null");
}

// The two ends of moe_memory_write and moe_memory_read.
void check_transfer(const void* host, const void* memory, int64_t bytes) {
  check_memory("host", host, bytes);
  check_memory("memory", memory, bytes);
  const auto a = reinterpret_cast<uintptr_t>(host), b = reinterpret_cast<uintptr_t>(memory);
  if ((a < b ? b - a : a - b) < static_cast<uintptr_t>(bytes)) invalid("host and memory overlap");
}

// Opens a device of the named backend. Throws Error if it cannot be opened.
std::shared_ptr<Device> open_device(std::string_view backend, int ordinal) {
  if (backend == "cpu") {
    if (ordinal != 0) invalid("ordinal is ", ordinal, "; the cpu backend has device 0 only");
    return cpu::open();
  }
  if (backend == "cuda" || backend == "simt") return open_plugin(backend, ordinal);
  fail(MOE_UNSUPPORTED, "no backend is called '", backend, "'; this library has: cpu, cuda");
}

}  // namespace
}  // namespace moe

using moe::guard;

moe_status moe_device_open(const char* backend, int32_t ordinal, moe_device* device) {
  return guard(__func__, [&] {
    moe::check_pointer("backend", backend);
    moe::check_pointer("device", device);
    if (::strnlen(backend, 32) == 32) moe::invalid("backend's name is longer than 31 characters");
    *device = moe::devices().insert(moe::open_device(backend, ordinal));
  });
}

moe_status moe_device_close(moe_device device) {
  return guard(__func__, [&] {
    const auto closed = moe::devices().remove(device);
    moe::graphs().remove_if([&](const moe::Graph& graph) { return &graph.stream().device() == closed.get(); });
    moe::streams().remove_if([&](const moe::Stream& stream) { return &stream.device() == closed.get(); });
  });
}

moe_status moe_device_describe(moe_device device, moe_device_info* info) {
  return guard(__func__, [&] { moe::find_device(device)->describe(moe::check_struct("info", info)); });
}

moe_status moe_stream_create(moe_device device, int32_t threads, moe_stream* stream) {
  return guard(__func__, [&] {
    moe::check_pointer("stream", stream);
    if (threads < 0 || threads > moe::kMaxThreads) {
      moe::invalid("threads is ", threads, ", expected 0 to ", moe::kMaxThreads);
    }
    const auto owner = moe::find_device(device);
    const int team = threads == 0 ? owner->default_threads() : threads;
    const auto created = owner->create_stream(owner, team);
    const moe_stream handle = moe::streams().insert(created);
    try {
      moe::find_device(device);
    } catch (const moe::Error&) {  // closed meanwhile, perhaps before this stream was listed
      moe::streams().remove_if([&](const moe::Stream& each) { return &each == created.get(); });
      throw;
    }
    *stream = handle;
  });
}

moe_status moe_stream_destroy(moe_stream stream) {
  return guard(__func__, [&] { moe::streams().remove(stream); });
}

moe_status moe_stream_synchronize(moe_stream stream) {
  return guard(__func__, [&] {
    const auto awaited = moe::find_stream(stream);
    const std::lock_guard lock(awaited->mutex());
    awaited->synchronize();
  });
}

moe_status moe_stream_query(moe_stream stream, int32_t* finished) {
  return guard(__func__, [&] {
    moe::check_pointer("finished", finished);
    const auto asked = moe::find_stream(stream);
    // A thread that makes a call, or waits for one, holds the lock: the stream has work.
    const std::unique_lock lock(asked->mutex(), std::try_to_lock);
    *finished = lock.owns_lock() && asked->finished() ? 1 : 0;
  });
}

moe_status moe_stream_mark(moe_stream stream, int64_t* mark) {
  return guard(__func__, [&] {
    moe::check_pointer("mark", mark);
    const auto marked = moe::find_stream(stream);
    const std::lock_guard lock(marked->mutex());
    *mark = marked->mark();
  });
}

moe_status moe_stream_wait(moe_stream stream, moe_stream other, int64_t mark) {
  return guard(__func__, [&] {
    const auto waiting = moe::find_stream(stream);
    const auto marked = moe::find_stream(other);
    if (&waiting->device() != &marked->device()) moe::invalid("other is a stream of another device");
    if (waiting == marked) return;
    const std::scoped_lock lock(waiting->mutex(), marked->mutex());
    waiting->wait(*marked, mark);
  });
}

moe_status moe_stream_native(moe_stream stream, void** handle) {
  return guard(__func__, [&] {
    moe::check_pointer("handle", handle);
    *handle = moe::find_stream(stream)->native();
  });
}

moe_status moe_graph_begin(moe_stream stream) {
  return guard(__func__, [&] {
    const auto on = moe::find_stream(stream);
    const std::lock_guard lock(on->mutex());
    on->begin_graph();
  });
}

moe_status moe_graph_end(moe_stream stream, moe_graph* graph) {
  return guard(__func__, [&] {
    const auto made_on = moe::find_stream(stream);
    const std::lock_guard lock(made_on->mutex());
    if (graph == nullptr) {
      made_on->end_graph(nullptr);
    } else {
      *graph = moe::graphs().insert(made_on->end_graph(made_on));
    }
  });
}

moe_status moe_graph_launch(moe_stream stream, moe_graph graph) {
  return guard(__func__, [&] {
    const auto on = moe::find_stream(stream);
    const auto launched = moe::graphs().find(graph);
    if (&launched->stream() != on.get()) moe::invalid("graph was made on another stream, it runs on that one alone");
    const std::lock_guard lock(on->mutex());
    on->launch_graph(*launched);
  });
}

moe_status moe_graph_destroy(moe_graph graph) {
  return guard(__func__, [&] { moe::graphs().remove(graph); });
}

moe_status moe_memory_allocate(moe_device device, int64_t bytes, void** memory) {
  return guard(__func__, [&] {
    moe::check_pointer("memory", memory);
    if (bytes < 0) moe::invalid("bytes is ", bytes, ", expected 0 or more");
    *memory = moe::find_device(device)->allocate(bytes);
  });
}

moe_status moe_memory_free(moe_device device, void* memory) {
  return guard(__func__, [&] {
    const auto owner = moe::find_device(device);
    moe::check_pointer("memory", static_cast<char*>(memory));
    owner->free(memory);
  });
}

moe_status moe_memory_trim(moe_device device) {
  return guard(__func__, [&] { moe::find_device(device)->trim(); });
}

moe_status moe_memory_usage_get(moe_device device, moe_memory_usage* usage) {
  return guard(__func__, [&] {
    moe::check_struct("usage", usage);
    *usage = moe::find_device(device)->memory_usage();
  });
}

moe_status moe_memory_copy(moe_stream stream, const moe_tensor* src, const moe_tensor* dst, MOE_HELD_IGNORED) {
  return guard(__func__, [&] {
    const moe_tensor& from = moe::check_tensor("src", src);
    const moe_tensor& to = moe::check_tensor("dst", dst);
    moe::check_same_dtype("src", from, "dst", to);
    if (from.layout != to.layout) moe::invalid("src and dst differ in layout");
    const bool packed = from.layout != MOE_ROW_MAJOR;
    if (packed ? !moe::same_shape(from, to) : moe::element_count(from) != moe::element_count(to)) {
      moe::invalid("src has shape ", moe::shape_text(from), " but dst has ", moe::shape_text(to));
    }
    int64_t bytes = moe::tensor_bytes(from);
    if (packed) {
      const auto device = moe::find_stream(stream)->shared_device();
      moe::check_weights("src", src, from.rank, *device);
      moe::check_weights("dst", dst, to.rank, *device);
      bytes = moe::packed_bytes(*device, from.dtype, from.rank, from.shape);
    }
    moe::check_written({{"dst", dst}}, {{"src", src}});
    MOE_CALL(stream, copy, from.data, bytes, to.data);
  });
}

moe_status moe_memory_write(moe_stream stream, const void* host, int64_t bytes, void* memory) {
  return guard(__func__, [&] {
    moe::check_transfer(host, memory, bytes);
    const auto on = moe::find_stream(stream);
    const std::lock_guard lock(on->mutex());
    on->write(host, bytes, memory);
  });
}

moe_status moe_memory_read(moe_stream stream, const void* memory, int64_t bytes, void* host) {
  return guard(__func__, [&] {
    moe::check_transfer(host, memory, bytes);
    const auto on = moe::find_stream(stream);
    const std::lock_guard lock(on->mutex());
    on->read(memory, bytes, host);
  });
}

moe_status moe_memory_zero(moe_stream stream, void* memory, int64_t bytes) {
  return guard(__func__, [&] {
    moe::check_memory("memory", memory, bytes);
    const auto on = moe::find_stream(stream);
    const std::lock_guard lock(on->mutex());
    on->zero(memory, bytes);
  });
}
