// Runs the tests. Tests named Emulated need the emulation of CUDA, tests named Gpu that or a GPU; they are left out on
// other backends. --gtest_list_tests lists them all, because ctest asks for the list without naming a backend. Tests
// read results of a GPU like host memory, so they ask for managed memory. The emulation holds all work back until a
// test waits for it, unless PANAMOE_CUDA_SYNCHRONOUS is 1; under a sanitizer a call's fault shows in the call. Tests
// named Emulated choose for themselves.
#include "test/emulation.h"
#include "test/testing.h"

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

}  // namespace

namespace moe::testing {
namespace {

class HeldWork : public ::testing::EmptyTestEventListener {
  void OnTestStart(const ::testing::TestInfo& test) override {
    // Threads of ConcurrencyTest free what calls on streams of other threads use.
    const std::string suite = test.test_suite_name();
    const bool hold = !suite.starts_with("Emulated") && suite != "ConcurrencyTest";
    ::setenv("PANAMOE_CUDA_SYNCHRONOUS", hold ? "0" : "1", 1);
    emulation_function<void(int)>("simt_hold")(hold ? 1 : 0);
  }
};

}  // namespace
}  // namespace moe::testing

int main(int argc, char** argv) {
  if (std::string(moe::testing::backend_under_test()) == "cuda") ::setenv("PANAMOE_CUDA_MANAGED", "1", 0);
  ::testing::InitGoogleTest(&argc, argv);
  const char* synchronous = std::getenv("PANAMOE_CUDA_SYNCHRONOUS");
  if (moe::testing::emulated() && !kSanitized && (synchronous == nullptr || std::string(synchronous) == "0")) {
    ::testing::UnitTest::GetInstance()->listeners().Append(new moe::testing::HeldWork);
  }
  if (!moe::testing::emulated() && !GTEST_FLAG_GET(list_tests)) {
    const std::string filter = GTEST_FLAG_GET(filter), others = moe::testing::on_cpu() ? "Emulated*:Gpu*" : "Emulated*";
    GTEST_FLAG_SET(filter, filter + (filter.find('-') == std::string::npos ? "-" : ":") + others);
  }
  return RUN_ALL_TESTS();
}
