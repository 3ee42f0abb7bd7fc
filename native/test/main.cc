// Runs the tests. Those named Emulated need what the emulation of CUDA alone can do: on other backends they are left
// out, but from the list, which ctest asks for without naming a backend.
#include "test/testing.h"

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (!moe::testing::emulated() && !GTEST_FLAG_GET(list_tests)) {
    const std::string filter = GTEST_FLAG_GET(filter);
    GTEST_FLAG_SET(filter, filter + (filter.find('-') == std::string::npos ? "-" : ":") + "Emulated*");
  }
  return RUN_ALL_TESTS();
}
