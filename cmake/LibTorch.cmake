# LibTorch as an interface target, `torch`, from TORCH_ROOT: a folder with lib/ and include/ (the folder `torch` of a PyTorch
# installation is one). find_package(Torch) is not used: with a CUDA build it demands a CUDA toolkit and Python even for the CPU.
set(TORCH_ROOT "${CMAKE_SOURCE_DIR}/.deps/libtorch-2.11.0/torch" CACHE PATH "LibTorch: a folder with lib/ and include/")
if(NOT EXISTS "${TORCH_ROOT}/lib/libtorch_cpu.so" OR NOT EXISTS "${TORCH_ROOT}/include/ATen/core/Tensor.h")
  message(FATAL_ERROR "no LibTorch in TORCH_ROOT=${TORCH_ROOT}; scripts/fetch_libtorch.sh gets it, "
                      "or give -DTORCH_ROOT=FOLDER with lib/ and include/, or build without it: cmake --preset core")
endif()
add_library(torch INTERFACE)
target_include_directories(torch SYSTEM INTERFACE ${TORCH_ROOT}/include ${TORCH_ROOT}/include/torch/csrc/api/include)
target_link_directories(torch INTERFACE ${TORCH_ROOT}/lib)
target_link_options(torch INTERFACE "LINKER:-rpath,${TORCH_ROOT}/lib"
                    "LINKER:-rpath-link,${TORCH_ROOT}/../nvidia/cu13/lib" "LINKER:-rpath-link,${TORCH_ROOT}/lib")
target_link_libraries(torch INTERFACE -Wl,--no-as-needed torch_cpu c10 -Wl,--as-needed)
