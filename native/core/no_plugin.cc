// In place of plugin.cc where the library is built for other machines. Objects of the C++ library pass between this
// library and a backend's: both would have to be built by one compiler.
#include "core/error.h"
#include "core/plugin.h"

namespace moe {

std::shared_ptr<Device> open_plugin(std::string_view backend, int) {
  fail(MOE_UNSUPPORTED, "this build of the native library has no ", backend, " backend: build Panamoe on this machine");
}

}  // namespace moe
