// Runs the tests. Tests named Emulated need the emulation of CUDA and are left out on other backends.
// --gtest_list_tests lists them all the same, because ctest asks for the list without naming a backend.
#include "test/testing.h"

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (!moe::testing::emulated() && !GTEST_FLAG_GET(list_tests)) {
    const std::string filter = GTEST_FLAG_GET(filter);
    GTEST_FLAG_SET(filter, filter + (filter.find('-') == std::string::npos ? "-" : ":") + "Emulated*");
  }
  return RUN_ALL_TESTS();
}
