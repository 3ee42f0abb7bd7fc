// Replaces plugin.cc if the library is built for distribution. This library and a backend's exchange objects of the C++
// library, so one compiler must build both.
#include "core/error.h"
#include "core/plugin.h"

namespace moe {

std::shared_ptr<Device> open_plugin(std::string_view backend, int) {
  fail(MOE_UNSUPPORTED, "this build of the native library has no ", backend, " backend: build Panamoe on this machine");
}

}  // namespace moe
