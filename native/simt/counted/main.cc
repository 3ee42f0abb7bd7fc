// simt_counts [TEXT]: counts what one call of each kernel family whose name contains TEXT does, as rows of the table in
// docs/kernels-cuda-counted.md. ci/cuda.d/count runs it.
#include <dlfcn.h>

#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>

#include "simt/counted/counts.h"
#include "simt/counted/families.h"

namespace moe::counted {
namespace {

// Three digits.
std::string brief(double number) {
  const int digits = number <= 0 ? 0 : std::max(0, 2 - static_cast<int>(std::floor(std::log10(number))));
  char text[32];
  std::snprintf(text, sizeof(text), "%.*f", digits, number);
  return text;
}

template <typename Function>
Function* emulation(const char* name) {
  Dl_info info{};
  ::dladdr(reinterpret_cast<void*>(&moe_abi_version), &info);
  const auto file = std::filesystem::absolute(info.dli_fname).parent_path() / "libpanamoe_simt.so";
  void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  auto* function = library == nullptr ? nullptr : reinterpret_cast<Function*>(::dlsym(library, name));
  if (function != nullptr) return function;
  std::fprintf(stderr, "%s\n", ::dlerror());
  std::exit(1);
}

int run(const char* only) {
  auto* counts_of = emulation<void(simt::Counts*)>("simt_counts");
  auto* work_of = emulation<void(uint64_t*)>("simt_work");
  moe_device device = 0;
  moe_stream stream = 0;
  require(moe_device_open("simt", 0, &device));
  require(moe_stream_create(device, 1, &stream));
  for (const Family& family : families()) {
    if (family.name.find(only) == std::string::npos) continue;
    for (int64_t tokens : family.tokens) {
      Operands operands(stream, device);
      const Call call = family.prepare(operands, tokens);
      simt::Counts counts{};
      uint64_t before[3], after[3];
      counts_of(&counts);
      work_of(before);
      call.run();
      work_of(after);
      require(moe_stream_synchronize(stream));
      counts_of(&counts);
      const auto operations = static_cast<double>(counts.operations), memory = static_cast<double>(counts.of_memory),
                 l2 = static_cast<double>(counts.of_l2);
      if (operations < call.operations || memory < call.bytes) {
        std::fprintf(
            stderr, "%s of %" PRId64 " tokens: %.0f operations and %.0f bytes are less than the least, %.0f and %.0f\n",
            family.name.c_str(), tokens, operations, memory, call.operations, call.bytes);
        return 1;
      }
      std::printf("| %s | %s | %" PRIu64 " | %" PRIu64 " | %" PRIu64 " | %" PRIu64 " | %" PRIu64
                  " | %s | %s | %s | %s | %s | %s | %s |\n",
                  family.name.c_str(), tokens == 0 ? "" : std::to_string(tokens).c_str(), after[0] - before[0],
                  after[1] - before[1], counts.blocks, counts.barriers, counts.products,
                  brief(operations / 1e9).c_str(), brief(call.operations / 1e9).c_str(), brief(memory / 1e6).c_str(),
                  brief(call.bytes / 1e6).c_str(), brief(l2 / 1e6).c_str(),
                  brief(static_cast<double>(counts.of_shared) / 1e6).c_str(), brief(operations / l2).c_str());
      std::fflush(stdout);
    }
  }
  require(moe_device_close(device));
  return 0;
}

}  // namespace
}  // namespace moe::counted

int main(int count, char** arguments) { return moe::counted::run(count > 1 ? arguments[1] : ""); }
