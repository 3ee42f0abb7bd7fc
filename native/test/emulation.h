// Makes the emulation of CUDA do what a GPU may do: fail, and run work asynchronously.
#pragma once

#include <dlfcn.h>

#include <filesystem>

#include "test/testing.h"

namespace moe::testing {

// A function of the library that the backend was opened from; it stays loaded.
template <typename Function>
Function* emulation_function(const char* name) {
  Dl_info info{};
  EXPECT_NE(::dladdr(reinterpret_cast<void*>(&moe_abi_version), &info), 0);
  const auto file = std::filesystem::absolute(info.dli_fname).parent_path() / "libpanamoe_simt.so";
  void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  auto* function = library == nullptr ? nullptr : reinterpret_cast<Function*>(::dlsym(library, name));
  EXPECT_NE(function, nullptr) << ::dlerror();
  return function;
}

}  // namespace moe::testing
