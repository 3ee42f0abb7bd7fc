# The native tests: each on the CPU's kernels, again on the CUDA backend's kernels in the emulation (prefix simt.), and
# all again on lesser instruction sets than this machine's best. Building panamoe_test builds all that they need.
include(GoogleTest)
enable_testing()

# GoogleTest is compiled if Debian has its source: the installed library may need a newer C++ library than the
# compiler's, which another machine that runs the tests may lack.
set(PANAMOE_GOOGLETEST /usr/src/googletest/googletest)
if(EXISTS ${PANAMOE_GOOGLETEST}/src/gtest-all.cc)
  add_library(googletest STATIC EXCLUDE_FROM_ALL ${PANAMOE_GOOGLETEST}/src/gtest-all.cc
    ${PANAMOE_GOOGLETEST}/src/gtest_main.cc)
  target_include_directories(googletest PRIVATE ${PANAMOE_GOOGLETEST})
  target_compile_options(googletest PRIVATE -include ${CMAKE_CURRENT_SOURCE_DIR}/test/old_glibc.h)
else()
  find_package(GTest REQUIRED)
  add_library(googletest INTERFACE)
  target_link_libraries(googletest INTERFACE GTest::gtest GTest::gtest_main)
endif()

file(GLOB PANAMOE_TESTS CONFIGURE_DEPENDS test/*_test.cc)
if(NOT PANAMOE_PROCESSOR STREQUAL "x86")
  list(FILTER PANAMOE_TESTS EXCLUDE REGEX "/(tile_gemm|x86_processor)_test.cc$")
endif()
add_executable(panamoe_test test/main.cc test/allocations.cc test/threads.cc cpu/team.cc core/arena.cc core/stream.cc
  simt/counted/families.cc ${PANAMOE_DISPATCH} ${PANAMOE_TESTS})
target_include_directories(panamoe_test PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_precompile_headers(panamoe_test PRIVATE test/testing.h)  # GoogleTest is most of what a test compiles
target_compile_options(panamoe_test PRIVATE ${PANAMOE_WARNINGS})
if(PANAMOE_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(panamoe_test PRIVATE -Wno-maybe-uninitialized)  # at -O1 GCC warns about empty optionals that move
endif()
target_link_libraries(panamoe_test PRIVATE panamoe googletest highway)
set_source_files_properties(test/counted_test.cc PROPERTIES
  COMPILE_DEFINITIONS MOE_DOCS="${PROJECT_SOURCE_DIR}/../docs")
set_source_files_properties(simt/counted/families.cc PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
# It compiles kernels with their options, which the precompiled header does not fit.
set_source_files_properties(test/tile_gemm_test.cc PROPERTIES
  COMPILE_OPTIONS "${PANAMOE_KERNEL_OPTIONS}" SKIP_PRECOMPILE_HEADERS ON)
set(PANAMOE_TILES TileGemmTest.*)  # has kernels of its own, so it runs once: no backend or instruction set changes them
set(PANAMOE_SMALL -Emulated*:Gpu*)
if(PANAMOE_SANITIZE)
  # A minute of reference arithmetic, for kernels that smaller tests call too: label long.
  string(JOIN ":" PANAMOE_LARGE GateTest.MatchesTheReferenceOnLargeShapes* GateBackwardTest.*ManyExpertsAndChoices
    AttentionTest.AgreesWithFloat64WithoutAMask)
  string(APPEND PANAMOE_SMALL ":${PANAMOE_LARGE}")
  gtest_discover_tests(panamoe_test DISCOVERY_MODE PRE_TEST TEST_LIST PANAMOE_LARGE_TESTS TEST_FILTER ${PANAMOE_LARGE}
    PROPERTIES LABELS long)
endif()
gtest_discover_tests(panamoe_test DISCOVERY_MODE PRE_TEST TEST_FILTER ${PANAMOE_SMALL})

# ThreadSanitizer does not support fibers, so it does not run the emulation.
if(TARGET panamoe_simt AND NOT PANAMOE_SANITIZE MATCHES "thread")
  add_dependencies(panamoe_test panamoe_simt)
  # Label brief: every kernel family once. The other tests take minutes on the emulation, label long.
  string(JOIN ":" PANAMOE_BRIEF Emulated* Gpu* BalanceTest.* CombineTest.* DispatchTest.* ElementwiseTest.* EmbeddingTest.*
    ExchangeTest.* OptimizerTest.* RotaryTest.* NormTest.GradientsMatch* AttentionTest.BackwardIsTheDerivative
    AttentionTest.Dsinks* AttentionDecodeTest.PrefillInPieces* ExpertTest.GroupsOfEverySize* GateTest.RanksLongQueues*
    GateBackwardTest.MatchesCentralDifferences GemmTest.AppliesBias* GemmTest.WritesABfloat16* GemmSkinnyTest.Gradients*
    LossTest.CrossEntropy* DistillationTest.GradientsAre* BlockGemmTest.ExpertsMultiply*)
  set(PANAMOE_LONG -${PANAMOE_BRIEF}:${PANAMOE_TILES})
  if(PANAMOE_SANITIZE)
    # Left out under sanitizers, because they take minutes: comparisons of bits, and the gate on large tables. Smaller
    # tests run the same code.
    string(APPEND PANAMOE_LONG ":GemmTest.*Bit*:GemmSkinnyTest.*Bit*:ExpertTest.*Bit*:AttentionTest.*Bit*:LossTest.*Bit*"
      ":DistillationTest.*Bit*:BlockGemmTest.*Bit*:GateTest.MatchesTheReference:GateTest.InvariantsHoldForEveryTable"
      ":GateTest.MatchesTheReferenceOnLargeShapesAndEveryThreadCount")
    # Derivatives by hundreds of launches, and sums of many rows; other brief tests run these kernels.
    string(JOIN ":" PANAMOE_LARGE AttentionTest.BackwardIsTheDerivative RotaryTest.BackwardIs*
      EmulatedLastBlockTest.SplitsAre*)
    gtest_discover_tests(panamoe_test DISCOVERY_MODE PRE_TEST TEST_PREFIX simt. TEST_LIST PANAMOE_LARGE_TESTS_ON_SIMT
      TEST_FILTER ${PANAMOE_LARGE} PROPERTIES ENVIRONMENT PANAMOE_TEST_BACKEND=simt LABELS long)
    # Indices and counts of many tokens, and weights of 64 experts, slow with shadow memory.
    string(APPEND PANAMOE_BRIEF "-EmulatedLargeIndex*:EmulatedCountedTest.*:EmulatedLastBlockTest.AGateCounts*:${PANAMOE_LARGE}")
  endif()
  foreach(length BRIEF LONG)
    string(TOLOWER ${length} label)
    gtest_discover_tests(panamoe_test DISCOVERY_MODE PRE_TEST TEST_PREFIX simt. TEST_LIST PANAMOE_TESTS_ON_SIMT_${length}
      TEST_FILTER ${PANAMOE_${length}} PROPERTIES ENVIRONMENT PANAMOE_TEST_BACKEND=simt LABELS ${label})
  endforeach()
  # GEMM by TMA and wgmma, on emulated Hopper.
  add_test(NAME simt.hopper COMMAND panamoe_test --gtest_brief=1
    --gtest_filter=ExpertTest.GroupsOfEverySize*:ExpertTest.ARowHasItsBits*:GemmTest.MultipliesBfloat16OfSizes*)
  set_tests_properties(simt.hopper PROPERTIES LABELS brief COST 10  # long ones start first
    ENVIRONMENT "PANAMOE_TEST_BACKEND=simt;PANAMOE_SIMT_ARCH=90")
  file(GLOB PANAMOE_SIMT_TESTS CONFIGURE_DEPENDS simt/test/*_test.cc)
  add_executable(simt_test ${PANAMOE_SIMT_TESTS}
    simt/async_proxy.cc simt/block.cc simt/gpu.cc simt/cuda_runtime.cc simt/cuda_stream.cc simt/fiber.cc simt/memory.cc
    simt/queue.cc simt/shared.cc simt/tma.cc simt/wgmma.cc)
  target_compile_definitions(simt_test PRIVATE MOE_SIMT)
  target_include_directories(simt_test PRIVATE simt/include ${CMAKE_CURRENT_SOURCE_DIR} include)
  target_compile_options(simt_test PRIVATE ${PANAMOE_KERNEL_OPTIONS} -Wno-unknown-pragmas)
  target_link_libraries(simt_test PRIVATE googletest)
  gtest_discover_tests(simt_test DISCOVERY_MODE PRE_TEST)
  add_dependencies(panamoe_test simt_test)
endif()

# Skipped if this machine, or the library, lacks the instruction set. Not in sanitizer builds, whose source is the same.
if(NOT PANAMOE_SANITIZE)
  foreach(target ${PANAMOE_SIMD_TARGETS})
    add_test(NAME on_${target} COMMAND panamoe_test --gtest_brief=1 --gtest_filter=-${PANAMOE_TILES})
    set_tests_properties(on_${target} PROPERTIES COST 10 ENVIRONMENT PANAMOE_SIMD=${target}
      SKIP_REGULAR_EXPRESSION "PANAMOE_SIMD is '${target}', which is not one of")
  endforeach()
  add_test(NAME refuses_unknown_target COMMAND panamoe_test --gtest_filter=DeviceTest.*)
  list(GET PANAMOE_SIMD_TARGETS 0 lowest)
  set_tests_properties(refuses_unknown_target PROPERTIES ENVIRONMENT PANAMOE_SIMD=MMX
    PASS_REGULAR_EXPRESSION "PANAMOE_SIMD is 'MMX', which is not one of:.* ${lowest}")
endif()

# On other processors, emulated by qemu: without AVX-512. Few tests, because they are fifty times as slow; "ci/slow
# cross" runs more. ThreadSanitizer does not run there, nor does LeakSanitizer, which traces its own process.
find_program(PANAMOE_QEMU qemu-x86_64)
if(PANAMOE_QEMU AND PANAMOE_PROCESSOR STREQUAL "x86" AND NOT PANAMOE_SANITIZE MATCHES "thread")
  set(emulated_processors Haswell-noTSX EPYC-Milan)
  if(NOT PANAMOE_SANITIZE)  # a sanitizer's build is compiled for AVX2
    list(APPEND emulated_processors Nehalem)
    add_test(NAME simt.refuses_lesser_processor COMMAND ${PANAMOE_QEMU} -cpu Haswell-noTSX,-bmi2
      $<TARGET_FILE:panamoe_test> --gtest_filter=NormTest.Refuses)
    set_tests_properties(simt.refuses_lesser_processor PROPERTIES ENVIRONMENT PANAMOE_TEST_BACKEND=simt
      PASS_REGULAR_EXPRESSION "the emulation of CUDA needs a processor of x86-64-v3")
  endif()
  string(JOIN ":" emulated_tests *ProcessorTest.* GemmTest.AppliesBias* BlockGemmTest.RowsArePacked*
    BlockGemmTest.AddsToC* BlockGemmTest.Multiplies* BlockGemmTest.Numbers* ExactBlockGemmTest.AnOutlier*
    ExactBlockGemmTest.Numbers*)
  foreach(processor ${emulated_processors})
    add_test(NAME on_${processor} COMMAND ${PANAMOE_QEMU} -cpu ${processor} $<TARGET_FILE:panamoe_test>
      --gtest_brief=1 --gtest_filter=${emulated_tests})
    set_tests_properties(on_${processor} PROPERTIES ENVIRONMENT ASAN_OPTIONS=detect_leaks=0)
  endforeach()
endif()

# For the Java tests: NCCL without a GPU, and a system that is short of threads; never shipped.
foreach(stand_in nccl_threads scarce_threads)
  add_library(${stand_in} SHARED test/${stand_in}/${stand_in}.cc)
  target_compile_options(${stand_in} PRIVATE ${PANAMOE_WARNINGS})
  target_link_libraries(${stand_in} PRIVATE ${CMAKE_DL_LIBS})
endforeach()
