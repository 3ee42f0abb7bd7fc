// Runs the tests. Tests named Emulated need the emulation of CUDA and are skipped on other backends. --gtest_list_tests
// lists them all, because ctest asks for the list without naming a backend. Tests read results of a GPU like host
// memory, so they ask for managed memory.
#include "test/testing.h"

int main(int argc, char** argv) {
  if (std::string(moe::testing::backend_under_test()) == "cuda") ::setenv("PANAMOE_CUDA_MANAGED", "1", 0);
  ::testing::InitGoogleTest(&argc, argv);
  if (!moe::testing::emulated() && !GTEST_FLAG_GET(list_tests)) {
    const std::string filter = GTEST_FLAG_GET(filter);
    GTEST_FLAG_SET(filter, filter + (filter.find('-') == std::string::npos ? "-" : ":") + "Emulated*");
  }
  return RUN_ALL_TESTS();
}
