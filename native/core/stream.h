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

// Calls of a stream that a backend has kept to run them as one. They use the stream's scratch memory: the graph keeps
// the stream alive, and runs on it alone.
class Graph {
 public:
  explicit Graph(std::shared_ptr<Stream> stream) : stream_(std::move(stream)) {}
  virtual ~Graph() = default;
  const Stream& stream() const { return *stream_; }

 private:
  std::shared_ptr<Stream> stream_;
};

// One thread uses a stream at a time: all but native() and what is constant is called by a thread that holds mutex().
class Stream {
 public:
  // The arguments are the arena's.
  Stream(std::shared_ptr<Device> device, size_t alignment, bool asynchronous);
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  virtual ~Stream() = default;

  // The calls of several threads come one after the other.
  std::mutex& mutex() { return mutex_; }

  // Between both, calls are kept instead of run.
  virtual void begin_graph();
  // `self` is this stream; the graph keeps it alive.
  virtual std::shared_ptr<Graph> end_graph(std::shared_ptr<Stream> self);
  virtual void launch_graph(Graph& graph);

  // Waits until all work is done.
  virtual void synchronize() {}
  // Whether all work is done; waits for nothing.
  virtual bool finished() { return true; }
  // What other libraries know the stream by.
  virtual void* native();

  Device& device() const { return *device_; }
  const std::shared_ptr<Device>& shared_device() const { return device_; }
  // The scratch memory of a call, which MOE_LAUNCH frames.
  Arena& arena() { return arena_; }

 private:
  std::mutex mutex_;
  std::shared_ptr<Device> device_;
  Arena arena_;
};

}  // namespace moe
