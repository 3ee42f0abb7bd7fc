# Highway's headers, and the instruction sets that the CPU's kernels are compiled for. One is picked at run time: by
# cpu/simd/highway.cc, in place of Highway's library.
find_path(PANAMOE_HIGHWAY hwy/highway.h DOC "Folder of the folder hwy" REQUIRED NO_CMAKE_FIND_ROOT_PATH)
# Alone in a folder: a compiler for another system must not see this one's headers beside it.
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/highway)
file(CREATE_LINK ${PANAMOE_HIGHWAY}/hwy ${PROJECT_BINARY_DIR}/highway/hwy SYMBOLIC)
add_library(highway INTERFACE)
target_include_directories(highway SYSTEM INTERFACE ${PROJECT_BINARY_DIR}/highway)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND PANAMOE_PROCESSOR STREQUAL "x86")
  # It compares sizes in Highway's inline assembly with what the whole file may use, not with what a function may.
  target_compile_options(highway INTERFACE -mevex512)
endif()
# A test program or benchmark that has kernels of its own takes these, as the library's are hidden.
set(PANAMOE_DISPATCH cpu/simd/highway.cc cpu/${PANAMOE_PROCESSOR}/processor.cc)

if(PANAMOE_PROCESSOR STREQUAL "arm64")
  # NEON is not faster here than NEON without AES.
  set(PANAMOE_SIMD_TARGETS NEON_WITHOUT_AES NEON_BF16)
  set(PANAMOE_DISABLED_TARGETS HWY_NEON HWY_ALL_SVE)
else()
  # SSSE3, SSE4 and AVX3_DL are not faster here than SSE2, AVX2 and AVX3.
  set(PANAMOE_SIMD_TARGETS SSE2 AVX2 AVX3 AVX3_ZEN4)
  set(PANAMOE_DISABLED_TARGETS HWY_SSSE3 HWY_SSE4 HWY_AVX3_DL HWY_AVX3_SPR)
endif()
option(PANAMOE_THIS_PROCESSOR "Compile for the best instruction set of this machine alone: a third of the time")
if(PANAMOE_SANITIZE)
  # All targets share one source, so under a sanitizer, where compiling takes minutes, one suffices: the lowest that
  # the compiler may use everywhere.
  list(APPEND PANAMOE_DISABLED_TARGETS HWY_AVX3 HWY_AVX3_ZEN4)
  set(PANAMOE_LOWEST_TARGET -march=x86-64-v3 -maes -mpclmul)  # AVX2
elseif(PANAMOE_THIS_PROCESSOR AND PANAMOE_PROCESSOR STREQUAL "x86")
  list(JOIN PANAMOE_DISABLED_TARGETS "|" disabled)
  try_run(ran built
    SOURCE_FROM_CONTENT best_target.cc "
      #include <cstdio>
      #include \"cpu/processor.h\"
      #include \"hwy/highway.h\"
      int main() {
        const int64_t targets = moe::cpu::processor_targets() & HWY_TARGETS;
        std::printf(\"%s\", hwy::TargetName(targets & -targets));  // better targets have lower bits
      }"
    SOURCES ${PROJECT_SOURCE_DIR}/cpu/x86/processor.cc
    CMAKE_FLAGS -DINCLUDE_DIRECTORIES=${PROJECT_SOURCE_DIR}\;${PROJECT_BINARY_DIR}/highway
    COMPILE_DEFINITIONS -DHWY_DISABLED_TARGETS=\(${disabled}\)
    RUN_OUTPUT_VARIABLE best
    NO_CACHE)
  if(NOT built OR NOT ran EQUAL 0)
    message(FATAL_ERROR "cannot find this processor's instruction set; use cmake --preset release")
  endif()
  message(STATUS "Compiling for ${best} alone")
  # Other code than kernels keeps to what every processor has, so that another one gets a sentence.
  set(PANAMOE_BASELINE HWY_BASELINE_TARGETS=HWY_${best})
endif()

function(panamoe_simd_targets target)
  list(JOIN PANAMOE_DISABLED_TARGETS "|" disabled)
  target_compile_definitions(${target} PRIVATE HWY_DISABLED_TARGETS=\(${disabled}\) ${PANAMOE_BASELINE})
  target_compile_options(${target} PRIVATE ${PANAMOE_LOWEST_TARGET})
endfunction()
