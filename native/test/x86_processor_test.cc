// Which instructions each Highway target uses on processors that this machine is not, given by their CPUID.
#include <sstream>
#include <string>
#include <tuple>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "test/x86_processor_test.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

#include "cpu/simd/instructions-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moe::cpu::HWY_NAMESPACE {

inline constexpr std::tuple kAsks{int64_t{HWY_TARGET}, kByteDot, kBfloat16Tiles, kInt8Tiles};

}  // namespace moe::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "cpu/x86/cpuid.h"
#include "test/testing.h"

namespace moe::testing {
namespace {

using cpu::Instruction;

bool has(const cpu::Abilities& abilities, Instruction instruction) {
  return (abilities.instructions & static_cast<unsigned>(instruction)) != 0;
}

// The targets that a processor has, best last, each with the instructions that its kernels then use besides Highway's.
std::string kernels(const cpu::Answers& answers) {
  const cpu::Abilities abilities = cpu::abilities_of(answers);
  std::ostringstream text;
  for (const auto& [target, dot, bfloat16_tiles, int8_tiles] :
       {cpu::N_SSE2::kAsks, cpu::N_AVX2::kAsks, cpu::N_AVX3::kAsks, cpu::N_AVX3_ZEN4::kAsks}) {
    if ((abilities.targets & target) == 0) continue;
    text << ' ' << hwy::TargetName(target);
    if (has(abilities, dot)) text << (dot == Instruction::kByteDot256 ? "+vex" : "+evex");
    if (has(abilities, bfloat16_tiles)) text << "+bf16 tiles";
    if (has(abilities, int8_tiles)) text << "+int8 tiles";
  }
  return text.str();
}

constexpr unsigned kKeeps256 = 0x7, kKeeps512 = 0xe7, kKeepsTiles = 0x602e7;

struct Model {
  const char* name;
  bool amd;
  unsigned leaf1_ecx, leaf7_ebx, leaf7_ecx, leaf7_edx, leaf7_1_eax, extended1_ecx, kept;
  const char* kernels;

  cpu::Answers answers() const {
    return {.leaf0 = amd ? cpu::Cpuid{0x10, 0x68747541, 0x444d4163, 0x69746e65}   // AuthenticAMD
                         : cpu::Cpuid{0x20, 0x756e6547, 0x6c65746e, 0x49656e69},  // GenuineIntel
            .leaf1 = {.ecx = leaf1_ecx},
            .leaf7 = {.ebx = leaf7_ebx, .ecx = leaf7_ecx, .edx = leaf7_edx},
            .leaf7_1 = {.eax = leaf7_1_eax},
            .extended1 = {.ecx = extended1_ecx},
            .kept = kept};
  }
};

constexpr Model kHaswell{"Haswell", false, 0x7ffafbff, 0x000027ab, 0, 0, 0, 0x21, kKeeps256, " SSE2 AVX2"};
constexpr Model kZen4{"Zen 4",    true, 0x7ef8320b, 0xf1bf97a9, 0x00405fce,
                      0x10000010, 0x20, 0x75c237ff, kKeeps512,  " SSE2 AVX2 AVX3+evex AVX3_ZEN4"};
constexpr Model kSapphireRapids{
    "Sapphire Rapids", false,  0x7ffefbff, 0xf3bfa7eb,  0x98c07fee,
    0xffdd4432,        0x1c30, 0x121,      kKeepsTiles, " SSE2 AVX2+vex AVX3+evex+bf16 tiles+int8 tiles"};

TEST(X86ProcessorTest, EachTargetUsesItsOwnFormOfAnInstruction) {
  const Model models[] = {
      kHaswell,
      {"Zen 2", true, 0x7ed8320b, 0x219c91a9, 0x00400004, 0, 0, 0x75c237ff, kKeeps256, " SSE2 AVX2"},
      {"Zen 3", true, 0x7ed8320b, 0x219c97a9, 0x0040068c, 0x10, 0, 0x75c237ff, kKeeps256, " SSE2 AVX2"},
      {"Cascade Lake", false, 0x7ffefbbf, 0xd39ffffb, 0x800, 0xbc000400, 0, 0x121, kKeeps512, " SSE2 AVX2 AVX3+evex"},
      {"Ice Lake", false, 0x7ffafbbf, 0xf2bf27ef, 0x40405f4e, 0xbc000410, 0, 0x121, kKeeps512, " SSE2 AVX2 AVX3+evex"},
      kZen4,
      {"Zen 5", true, 0x7ed8320b, 0xf1bf97ab, 0x19405fce, 0x10000110, 0x30, 0x75c237ff, kKeeps512,
       " SSE2 AVX2+vex AVX3+evex AVX3_ZEN4"},
      {"Alder Lake", false, 0x7ffafbff, 0x239ca7eb, 0x98c027ac, 0xfc1cc410, 0x00400810, 0x121, kKeeps256,
       " SSE2 AVX2+vex"},
      kSapphireRapids,
  };
  for (const Model& model : models) EXPECT_EQ(kernels(model.answers()), model.kernels) << model.name;
}

TEST(X86ProcessorTest, UsesNoRegistersThatTheSystemDoesNotKeep) {
  Model model = kSapphireRapids;
  model.kept = kKeeps512;
  EXPECT_EQ(kernels(model.answers()), " SSE2 AVX2+vex AVX3+evex");
  model.kept = kKeeps256;
  EXPECT_EQ(kernels(model.answers()), " SSE2 AVX2+vex");
  model.kept = 0;
  EXPECT_EQ(kernels(model.answers()), " SSE2");
  model = kZen4;
  model.kept = kKeeps256;
  EXPECT_EQ(kernels(model.answers()), " SSE2 AVX2") << "it has vpdpbusd by EVEX alone";
}

// A hypervisor can hide any of them.
TEST(X86ProcessorTest, AFeatureThatIsHiddenIsNotUsed) {
  Model model = kSapphireRapids;
  model.leaf7_ecx &= ~(1u << 11);  // AVX-512 VNNI
  model.leaf7_edx &= ~(1u << 22);  // AMX-BF16
  EXPECT_EQ(kernels(model.answers()), " SSE2 AVX2+vex AVX3+int8 tiles");
  model = kSapphireRapids;
  model.leaf7_1_eax = 0;
  model.leaf7_edx &= ~(1u << 24);  // AMX-TILE
  EXPECT_EQ(kernels(model.answers()), " SSE2 AVX2 AVX3+evex");
  model = kSapphireRapids;
  model.leaf7_ebx &= ~(1u << 28);  // AVX-512 CD, which its compiled code may need
  EXPECT_EQ(kernels(model.answers()), " SSE2 AVX2+vex");
}

TEST(X86ProcessorTest, TheEmulationOfCudaNeedsAllThatItIsCompiledFor) {
  Model model = kHaswell;
  EXPECT_TRUE(has(cpu::abilities_of(model.answers()), Instruction::kX86Level3));
  for (const int bit : {12, 13, 22, 28, 29}) {  // FMA, CX16, MOVBE, AVX, F16C
    model.leaf1_ecx = kHaswell.leaf1_ecx & ~(1u << bit);
    EXPECT_FALSE(has(cpu::abilities_of(model.answers()), Instruction::kX86Level3)) << "leaf 1, bit " << bit;
  }
  model = kHaswell;
  for (const int bit : {3, 5, 8}) {  // BMI, AVX2, BMI2
    model.leaf7_ebx = kHaswell.leaf7_ebx & ~(1u << bit);
    EXPECT_FALSE(has(cpu::abilities_of(model.answers()), Instruction::kX86Level3)) << "leaf 7, bit " << bit;
  }
}

}  // namespace
}  // namespace moe::testing
#endif
