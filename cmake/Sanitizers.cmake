# PANAMOE_SANITIZE builds everything with sanitizers. Include this before any target is made.
set(PANAMOE_SANITIZE "" CACHE STRING "Sanitizers to build with, e.g. address,undefined")

if(PANAMOE_SANITIZE)
  # Half the time of -O2 -g to compile, and the tests run as long.
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1 -DNDEBUG")
  # AddressSanitizer finds what the checks left out would, and they take as long to compile as all the rest.
  add_compile_options(-fsanitize=${PANAMOE_SANITIZE} -fno-sanitize=null,object-size,pointer-overflow,vptr
    -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${PANAMOE_SANITIZE})
endif()
