# PANAMOE_SANITIZE builds everything with sanitizers. Include this before any target is made.
set(PANAMOE_SANITIZE "" CACHE STRING "Sanitizers to build with, e.g. address,undefined")

if(PANAMOE_SANITIZE)
  # Compiles twice as fast as -O2 -g; the tests run for the same time.
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1 -DNDEBUG")
  # These checks double the compile time, and AddressSanitizer finds the same errors.
  add_compile_options(-fsanitize=${PANAMOE_SANITIZE} -fno-sanitize=null,object-size,pointer-overflow,vptr
    -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${PANAMOE_SANITIZE})
endif()
