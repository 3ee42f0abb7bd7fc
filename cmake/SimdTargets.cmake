# The instruction sets that the CPU's kernels are compiled for. Highway picks one at run time.
# SSSE3, SSE4 and AVX3_DL are not faster here than SSE2, AVX2 and AVX3.
set(PANAMOE_SIMD_TARGETS SSE2 AVX2 AVX3 AVX3_ZEN4)
set(PANAMOE_DISABLED_TARGETS HWY_SSSE3 HWY_SSE4 HWY_AVX3_DL HWY_AVX3_SPR)
if(PANAMOE_SANITIZE)
  # All targets share one source, so under a sanitizer, where compiling takes minutes, one suffices: the lowest that
  # the compiler may use everywhere.
  list(APPEND PANAMOE_DISABLED_TARGETS HWY_AVX3 HWY_AVX3_ZEN4)
  set(PANAMOE_LOWEST_TARGET -march=x86-64-v3 -maes -mpclmul)  # AVX2
endif()

function(panamoe_simd_targets target)
  list(JOIN PANAMOE_DISABLED_TARGETS "|" disabled)
  target_compile_definitions(${target} PRIVATE HWY_DISABLED_TARGETS=\(${disabled}\))
  target_compile_options(${target} PRIVATE ${PANAMOE_LOWEST_TARGET})
endfunction()
