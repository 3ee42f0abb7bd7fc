# Zig's clang, with the headers and symbols of an older glibc and a C++ library that it links statically.
set(CMAKE_SYSTEM_NAME Linux)
set(zig ${CMAKE_CURRENT_LIST_DIR}/../../ci/fetch/zig)
set(CMAKE_C_COMPILER ${zig} cc -target ${PANAMOE_ZIG_TARGET})
set(CMAKE_CXX_COMPILER ${zig} c++ -target ${PANAMOE_ZIG_TARGET})
set(CMAKE_SHARED_LINKER_FLAGS_INIT -s)
# Of this machine, programs alone: its headers and libraries are another system's.
set(CMAKE_FIND_ROOT_PATH ${CMAKE_CURRENT_LIST_DIR}/none)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
