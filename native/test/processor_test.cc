// The targets that this library finds on the processor against those that Highway's own library finds.
#include <dlfcn.h>

#include "cpu/processor.h"
#include "hwy/highway.h"
#include "test/testing.h"

namespace moe::testing {
namespace {

TEST(ProcessorTest, HasTheTargetsThatHighwayFinds) {
  // Compares with the system's libhwy. A machine may lack it, because the shipped library does not need it.
  void* highway = ::dlopen("libhwy.so.1", RTLD_NOW | RTLD_LOCAL);
  if (highway == nullptr) GTEST_SKIP() << "no libhwy";
  auto* supported = reinterpret_cast<int64_t (*)()>(::dlsym(highway, "_ZN3hwy16SupportedTargetsEv"));
  ASSERT_NE(supported, nullptr);
#if defined(__x86_64__)
  constexpr int64_t kOurs = HWY_SSE2 | HWY_AVX2 | HWY_AVX3 | HWY_AVX3_ZEN4;
#else
  constexpr int64_t kOurs = HWY_NEON_WITHOUT_AES | HWY_NEON_BF16;
#endif
  EXPECT_EQ(cpu::processor_targets(), supported() & kOurs);
}

}  // namespace
}  // namespace moe::testing
