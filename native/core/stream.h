// What a kernel sees of the place it runs in: the stream, its device, and scratch memory that outlives the call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

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

// A slot of a stream's scratch memory, which is its device's: it grows to the largest request and stays, so that a
// steady state allocates nothing.
struct Scratch {
  void* memory = nullptr;
  size_t bytes = 0;
};

// One thread uses a stream at a time: all but native() and what is constant is called by a thread that holds mutex().
// Scratch slots are a kernel's own for the length of one call: `shared` slots are taken by the calling thread, `local`
// ones by a team member for itself.
class Stream {
 public:
  static constexpr int kSharedSlots = 12;

  Stream(std::shared_ptr<Device> device, int threads);
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  virtual ~Stream();

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
  int threads() const { return threads_; }

  template <typename T>
  T* shared(int slot, int64_t count) {
    return static_cast<T*>(reserve(shared_[slot], static_cast<size_t>(count) * sizeof(T)));
  }
  template <typename T>
  T* local(int thread, int64_t count) {
    return static_cast<T*>(reserve(local_[thread], static_cast<size_t>(count) * sizeof(T)));
  }

 private:
  // At least `bytes`, aligned to 64; the contents of an earlier call are lost.
  void* reserve(Scratch& scratch, size_t bytes);

  std::mutex mutex_;
  std::shared_ptr<Device> device_;
  int threads_;
  Scratch shared_[kSharedSlots];
  std::unique_ptr<Scratch[]> local_;
};

}  // namespace moe
