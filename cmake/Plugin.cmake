# A backend in a library of its own, which libpanamoe.so opens on demand. The sources of cuda/ make two: the CUDA
# backend, and its emulation on the CPU. Each contains the core's checks; the C ABI is in libpanamoe.so.
file(GLOB_RECURSE PANAMOE_CUDA_SOURCES CONFIGURE_DEPENDS cuda/*.cc cuda/*.cu)
list(FILTER PANAMOE_CUDA_SOURCES EXCLUDE REGEX /runtime_kernel/) # compiled while the program runs
set(PANAMOE_PLUGIN_SOURCES ${PANAMOE_CUDA_SOURCES} ${PROJECT_SOURCE_DIR}/core/arena.cc ${PROJECT_SOURCE_DIR}/core/check.cc
  ${PROJECT_SOURCE_DIR}/core/gate_values.cc ${PROJECT_SOURCE_DIR}/core/stream.cc)

function(panamoe_plugin target)
  add_library(${target} SHARED EXCLUDE_FROM_ALL ${PANAMOE_PLUGIN_SOURCES} ${ARGN})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
  set_target_properties(${target} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
endfunction()
