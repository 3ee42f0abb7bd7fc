// What a kernel sees of the place it runs in: the stream, its device and its scratch memory.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include "core/arena.h"
#include "moe/device.h"

namespace moe {

struct Kernels;
class Device;
class Stream;

// Calls of a stream, captured to be launched as one. They use the stream's scratch memory, so the graph keeps the
// stream alive and is launched on it alone.
class Graph {
 public:
  explicit Graph(std::shared_ptr<Stream> stream) : stream_(std::move(stream)) {}
  virtual ~Graph() = default;
  const Stream& stream() const { return *stream_; }

 private:
  std::shared_ptr<Stream> stream_;
};

// One thread uses a stream at a time. The caller holds mutex(), except for native() and for what never changes.
class Stream {
 public:
  // The arguments are the arena's.
  Stream(std::shared_ptr<Device> device, size_t alignment, bool asynchronous);
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  virtual ~Stream() = default;

  // Held during each call: calls of several threads run one after another.
  std::mutex& mutex() { return mutex_; }

  // Calls between begin_graph and end_graph are captured, not run.
  virtual void begin_graph();
  // `self` is this stream; the graph keeps it alive.
  virtual std::shared_ptr<Graph> end_graph(std::shared_ptr<Stream> self);
  virtual void launch_graph(Graph& graph);

  // moe_memory_write, moe_memory_read and moe_memory_zero; the arguments are checked, and may be null for 0 bytes.
  virtual void write(const void* host, int64_t bytes, void* memory) = 0;
  virtual void read(const void* memory, int64_t bytes, void* host) = 0;
  virtual void zero(void* memory, int64_t bytes) = 0;

  // Waits for all work of the stream.
  virtual void synchronize() {}
  // True if all work is done; never waits.
  virtual bool finished() { return true; }
  // A mark: the work given so far. Marks are numbers from 1 on; where calls return when their work is done, 0.
  virtual int64_t mark() { return 0; }
  // Later work waits for another stream's work up to a mark. The caller holds both mutexes.
  virtual void wait(Stream& /*other*/, int64_t /*mark*/) {}
  // The stream as other libraries know it: a cudaStream_t.
  virtual void* native();

  Device& device() const { return *device_; }
  const std::shared_ptr<Device>& shared_device() const { return device_; }
  // The scratch memory of a call, which MOE_CALL frames.
  Arena& arena() { return arena_; }

 private:
  std::mutex mutex_;
  std::shared_ptr<Device> device_;
  Arena arena_;
};

}  // namespace moe
