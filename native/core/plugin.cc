#include "core/plugin.h"

#include <dlfcn.h>

#include <filesystem>
#include <string>

#include "core/error.h"
#include "cpu/processor.h"

namespace moe {
namespace {

using BackendVersion = int32_t();
using BackendOpen = void(int ordinal, std::shared_ptr<Device>& device);

std::filesystem::path own_folder() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<void*>(&moe_abi_version), &info) == 0) {
    fail(MOE_INTERNAL, "cannot find this library's file");
  }
  return std::filesystem::absolute(info.dli_fname).parent_path();
}

template <typename Function>
Function* symbol(void* library, const char* name, const std::string& file) {
  auto* function = reinterpret_cast<Function*>(::dlsym(library, name));
  if (function == nullptr) fail(MOE_UNSUPPORTED, file, " has no function ", name, ": it is not a backend of Panamoe");
  return function;
}

}  // namespace

std::shared_ptr<Device> open_plugin(std::string_view backend, int ordinal) {
  // It is compiled for x86-64-v3, because fmaf() must be one instruction, like on a GPU.
  if (backend == "simt" && !cpu::has(cpu::Instruction::kX86Level3)) {
    fail(MOE_UNSUPPORTED, "the emulation of CUDA needs a processor of x86-64-v3 (AVX2, FMA, BMI2 and more)");
  }
  const std::string file = own_folder() / ("libpanamoe_" + std::string(backend) + ".so");
  // Never closed: devices may outlive their handles. dlopen is thread-safe and counts references.
  void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const bool missing = !std::filesystem::exists(file);
    fail(
        MOE_UNSUPPORTED, "the ", backend, " backend is not built: ", missing ? "there is no " : "cannot load ",
        missing ? file + (backend == "cuda" ? " (ci/cuda.d/compile --card builds it)" : "") : std::string(::dlerror()));
  }
  const int32_t version = symbol<BackendVersion>(library, "panamoe_backend_version", file)();
  if (version != MOE_ABI_VERSION) {
    fail(MOE_UNSUPPORTED, file, " has ABI version ", version, ", this library has ", MOE_ABI_VERSION,
         ": build both from the same source");
  }
  std::shared_ptr<Device> device;
  symbol<BackendOpen>(library, "panamoe_backend_open", file)(ordinal, device);
  return device;
}

}  // namespace moe
