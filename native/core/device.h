// A device: what a backend implements besides its kernels.
#pragma once

#include <memory>

#include "core/handle_table.h"
#include "core/kernels.h"

namespace moe {

class Device {
 public:
  virtual ~Device() = default;
  virtual const Kernels& kernels() const = 0;
  virtual void describe(moe_device_info& info) const = 0;
  virtual int default_threads() const = 0;
  // `self` is this device; the stream keeps it alive.
  virtual std::shared_ptr<Stream> create_stream(std::shared_ptr<Device> self, int threads) = 0;
  virtual void* allocate(int64_t bytes) = 0;
  virtual void free(void* memory) = 0;
  virtual void trim() = 0;
  virtual moe_memory_usage memory_usage() const = 0;

  // Installs a runtime kernel; its description is checked.
  virtual void install(const moe_runtime_kernel& kernel, const void* image, int64_t bytes) = 0;
  virtual bool has_custom_activation() const { return false; }
};

// All open devices and streams.
HandleTable<Device>& devices();
HandleTable<Stream>& streams();

// The device of a handle, kept alive by the pointer. Throws Error(MOE_INVALID_HANDLE) if it is closed or unknown.
std::shared_ptr<Device> find_device(moe_device handle);
std::shared_ptr<Stream> find_stream(moe_stream handle);

}  // namespace moe
