// The page of counted kernels: a change of a family's launches shows here, before anyone counts all again.
#include <fstream>
#include <string>

#include "simt/counted/families.h"
#include "test/emulation.h"

namespace moe::testing {
namespace {

class EmulatedCountedTest : public KernelTest {};

TEST_F(EmulatedCountedTest, LaunchesOfOneTokenAreThoseOfThePage) {
  std::ifstream file(MOE_DOCS "/kernels-cuda-counted.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  auto* work = emulation_function<void(uint64_t*)>("simt_work");
  for (const counted::Family& family : counted::families()) {
    const int64_t tokens = family.tokens.front();
    if (tokens > 1) continue;  // the gradients of experts take a minute
    counted::Operands operands(single, device);
    const counted::Call call = family.prepare(operands, tokens);
    uint64_t before[3], after[3];
    work(before);
    call.run();
    work(after);
    const std::string row =
        "| " + family.name + " | " + (tokens == 0 ? "" : "1") + " | " + std::to_string(after[0] - before[0]) + " | ";
    EXPECT_NE(page.find("\n" + row), std::string::npos)
        << "docs/kernels-cuda-counted.md has no row '" << row << "': ci/count rewrites it";
    ASSERT_MOE_OK(moe_stream_synchronize(single));
  }
}

}  // namespace
}  // namespace moe::testing
