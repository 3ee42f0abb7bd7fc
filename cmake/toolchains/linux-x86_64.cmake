# For x86-64 systems with glibc 2.17 or newer, from CentOS 7 on.
set(PANAMOE_ZIG_TARGET x86_64-linux-gnu.2.17)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
include(${CMAKE_CURRENT_LIST_DIR}/zig.cmake)
