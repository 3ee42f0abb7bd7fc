# The native benchmarks: one program per file of bench/.
file(GLOB PANAMOE_BENCHES CONFIGURE_DEPENDS bench/*_bench.cc)
foreach(bench_source ${PANAMOE_BENCHES})
  get_filename_component(bench_name ${bench_source} NAME_WE)
  add_executable(${bench_name} ${bench_source} ${PANAMOE_DISPATCH} cpu/processor.cc cpu/simd/target.cc
    cpu/team.cc)
  target_include_directories(${bench_name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  panamoe_simd_targets(${bench_name})
  target_link_libraries(${bench_name} PRIVATE panamoe highway)
endforeach()

# The GEMM benchmark compares with oneDNN if that is installed; the library does not need it.
find_package(dnnl QUIET)
if(dnnl_FOUND)
  target_compile_definitions(gemm_bench PRIVATE MOE_BENCH_ONEDNN)
  target_link_libraries(gemm_bench PRIVATE DNNL::dnnl)
endif()
