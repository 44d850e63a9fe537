# LibTorch as an interface target, `torch`, from TORCH_ROOT: a folder with lib/ and include/ (the folder `torch` of a PyTorch
# installation is one). find_package(Torch) is not used: with a CUDA build it demands a CUDA toolkit and Python even for the CPU.
set(TORCH_ROOT "${CMAKE_SOURCE_DIR}/.deps/libtorch-2.11.0/torch" CACHE PATH "LibTorch: a folder with lib/ and include/")
if(NOT EXISTS "${TORCH_ROOT}/lib/libtorch_cpu.so" OR NOT EXISTS "${TORCH_ROOT}/include/ATen/core/Tensor.h")
  message(FATAL_ERROR "no LibTorch in TORCH_ROOT=${TORCH_ROOT}; scripts/fetch_libtorch.sh gets it, "
                      "or give -DTORCH_ROOT=FOLDER with lib/ and include/, or build without it: cmake --preset core")
endif()
add_library(torch INTERFACE)
# LibTorch's include folder holds the headers of another fmt, without its library. Ours must be found before it.
find_path(FMT_INCLUDE_DIR fmt/format.h REQUIRED)
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/our_fmt)
file(CREATE_LINK ${FMT_INCLUDE_DIR}/fmt ${CMAKE_BINARY_DIR}/our_fmt/fmt SYMBOLIC)
target_include_directories(torch SYSTEM INTERFACE ${CMAKE_BINARY_DIR}/our_fmt
                           ${TORCH_ROOT}/include ${TORCH_ROOT}/include/torch/csrc/api/include)
target_link_directories(torch INTERFACE ${TORCH_ROOT}/lib)
target_link_options(torch INTERFACE "LINKER:-rpath,${TORCH_ROOT}/lib"
                    "LINKER:-rpath-link,${TORCH_ROOT}/../nvidia/cu13/lib" "LINKER:-rpath-link,${TORCH_ROOT}/lib")
target_link_libraries(torch INTERFACE -Wl,--no-as-needed torch_cpu c10 -Wl,--as-needed)
