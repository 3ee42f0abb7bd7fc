// Runs the tests. Tests named Emulated need the emulation of CUDA, tests named Gpu that or a GPU; they are left out on
// other backends. --gtest_list_tests lists them all, because ctest asks for the list without naming a backend. Tests read results of a GPU like host
// memory, so they ask for managed memory. With PANAMOE_CUDA_SYNCHRONOUS=0 the emulation holds all work back until a test
// waits for it; tests named Emulated choose for themselves.
#include "test/emulation.h"
#include "test/testing.h"

namespace moe::testing {
namespace {

class HeldWork : public ::testing::EmptyTestEventListener {
  void OnTestStart(const ::testing::TestInfo& test) override {
    const bool hold = !std::string(test.test_suite_name()).starts_with("Emulated");
    ::setenv("PANAMOE_CUDA_SYNCHRONOUS", hold ? "0" : "", 1);
    emulation_function<void(int)>("simt_hold")(hold ? 1 : 0);
  }
};

}  // namespace
}  // namespace moe::testing

int main(int argc, char** argv) {
  if (std::string(moe::testing::backend_under_test()) == "cuda") ::setenv("PANAMOE_CUDA_MANAGED", "1", 0);
  ::testing::InitGoogleTest(&argc, argv);
  const char* synchronous = std::getenv("PANAMOE_CUDA_SYNCHRONOUS");
  if (moe::testing::emulated() && synchronous != nullptr && std::string(synchronous) == "0") {
    ::testing::UnitTest::GetInstance()->listeners().Append(new moe::testing::HeldWork);
  }
  if (!moe::testing::emulated() && !GTEST_FLAG_GET(list_tests)) {
    const std::string filter = GTEST_FLAG_GET(filter), others = moe::testing::on_cpu() ? "Emulated*:Gpu*" : "Emulated*";
    GTEST_FLAG_SET(filter, filter + (filter.find('-') == std::string::npos ? "-" : ":") + others);
  }
  return RUN_ALL_TESTS();
}
