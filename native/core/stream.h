// What a kernel sees of its stream: the device and its scratch memory.
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

// Captured calls of a stream, launched as one. They use the stream's scratch memory, so the graph keeps the stream
// alive and is launched only on it.
class Graph {
 public:
  explicit Graph(std::shared_ptr<Stream> stream) : stream_(std::move(stream)) {}
  virtual ~Graph() = default;
  const Stream& stream() const { return *stream_; }

 private:
  std::shared_ptr<Stream> stream_;
};

// One thread uses a stream at a time. Callers hold mutex(), except for native() and values that never change.
class Stream {
 public:
  // Arguments: see Arena.
  Stream(std::shared_ptr<Device> device, size_t alignment, bool asynchronous);
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  virtual ~Stream() = default;

  // Held during each call, so that calls of several threads run one after another.
  std::mutex& mutex() { return mutex_; }

  // Calls between begin_graph and end_graph are captured, not run.
  virtual void begin_graph();
  // `self` is this stream, which the graph keeps alive; null drops the captured calls, and returns null.
  virtual std::shared_ptr<Graph> end_graph(std::shared_ptr<Stream> self);
  virtual void launch_graph(Graph& graph);

  // moe_memory_write, moe_memory_read and moe_memory_zero with checked arguments; pointers may be null for 0 bytes.
  virtual void write(const void* host, int64_t bytes, void* memory) = 0;
  virtual void read(const void* memory, int64_t bytes, void* host) = 0;
  virtual void zero(void* memory, int64_t bytes) = 0;

  // Waits for all work of the stream.
  virtual void synchronize() {}
  // True if all work is done; never blocks.
  virtual bool finished() { return true; }
  // A mark of the work given so far: numbers from 1 on; always 0 if calls return when their work is done.
  virtual int64_t mark() { return 0; }
  // Later work waits for another stream's work up to a mark. The caller holds both mutexes.
  virtual void wait(Stream& /*other*/, int64_t /*mark*/) {}
  // The cudaStream_t, for other libraries.
  virtual void* native();

  Device& device() const { return *device_; }
  const std::shared_ptr<Device>& shared_device() const { return device_; }
  // Scratch memory of the current call; MOE_CALL opens its frame.
  Arena& arena() { return arena_; }

 private:
  std::mutex mutex_;
  std::shared_ptr<Device> device_;
  Arena arena_;
};

}  // namespace moe
