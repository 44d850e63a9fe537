# The CUDA language for our kernels (.cu), when CRESCENDO_CUDA is on. Building needs nvcc 13 but no GPU.
# cudart is linked where LibTorch is (LibTorch.cmake), so that a program has one CUDA runtime and not two.
find_program(CMAKE_CUDA_COMPILER nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
if(NOT CMAKE_CUDA_COMPILER)
  message(FATAL_ERROR "CRESCENDO_CUDA is on and no nvcc was found; install the CUDA 13.0 toolkit and put its bin/ in PATH or give "
                      "-DCMAKE_CUDA_COMPILER=.../nvcc, or build for the CPU: cmake --preset release")
endif()
set(CMAKE_CUDA_ARCHITECTURES "80;90;100" CACHE STRING "GPUs to compile for: A100, H100 and H200, B200")
enable_language(CUDA)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc compiles C++20
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
endif()
set(CMAKE_CUDA_RUNTIME_LIBRARY None)
