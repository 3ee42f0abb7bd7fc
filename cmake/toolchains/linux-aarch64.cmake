# For systems with glibc 2.17 or newer on 64-bit processors of ARM.
set(PANAMOE_ZIG_TARGET aarch64-linux-gnu.2.17)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
include(${CMAKE_CURRENT_LIST_DIR}/zig.cmake)
