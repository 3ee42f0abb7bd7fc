# The folder of cpu/ for the processors that are built for, and the other, which is left out.
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
  set(PANAMOE_PROCESSOR arm64)
  set(PANAMOE_OTHER_PROCESSOR x86)
else()
  set(PANAMOE_PROCESSOR x86)
  set(PANAMOE_OTHER_PROCESSOR arm64)
endif()
