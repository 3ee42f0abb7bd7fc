# Finds nvcc, and sets the architectures of the CUDA backend: Ampere, Hopper, Blackwell, and later ones by PTX.
set(PANAMOE_CUDA_ARCHITECTURES "80-real;90a-real;100-real;100-virtual" CACHE STRING "What panamoe_cuda is built for")

include(CheckLanguage)
check_language(CUDA)
if(CMAKE_CUDA_COMPILER)
  enable_language(CUDA)
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
endif()
