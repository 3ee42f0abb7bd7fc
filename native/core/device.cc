#include "core/device.h"

#include "core/error.h"

namespace moe {

// Leaked on purpose: a JVM may still call in while static destructors run.
HandleTable<Device>& devices() {
  static auto* table = new HandleTable<Device>(0xd1, "device");
  return *table;
}

HandleTable<Stream>& streams() {
  static auto* table = new HandleTable<Stream>(0x57, "stream");
  return *table;
}

std::shared_ptr<Device> find_device(moe_device handle) { return devices().find(handle); }
std::shared_ptr<Stream> find_stream(moe_stream handle) { return streams().find(handle); }

}  // namespace moe
