# LibTorch as an interface target, `torch`, from TORCH_ROOT: a folder with lib/ and include/ (the folder `torch` of a PyTorch
# installation is one). find_package(Torch) is not used: with a CUDA build it demands a CUDA toolkit and Python even for the CPU.
if(DEFINED ENV{TORCH_ROOT})
  set(root "$ENV{TORCH_ROOT}")
elseif(CRESCENDO_CUDA)
  set(root "${CMAKE_SOURCE_DIR}/.deps/libtorch-2.11.0-cuda/torch")
else()
  set(root "${CMAKE_SOURCE_DIR}/.deps/libtorch-2.11.0/torch")
endif()
set(TORCH_ROOT "${root}" CACHE PATH "LibTorch: a folder with lib/ and include/")
set(needed lib/libtorch_cpu.so lib/libc10.so include/ATen/core/Tensor.h)
if(CRESCENDO_CUDA)
  list(APPEND needed lib/libtorch_cuda.so lib/libc10_cuda.so)
endif()
foreach(file ${needed})
  if(NOT EXISTS "${TORCH_ROOT}/${file}")
    message(FATAL_ERROR "no ${file} in TORCH_ROOT=${TORCH_ROOT}; scripts/fetch_libtorch.sh gets a LibTorch (with --cuda, one for GPUs), "
                        "or give -DTORCH_ROOT=FOLDER with lib/ and include/, or build without it: cmake --preset core")
  endif()
endforeach()

add_library(torch INTERFACE)
# LibTorch's include folder holds the headers of another fmt, without its library. Ours must be found before it.
find_path(FMT_INCLUDE_DIR fmt/format.h REQUIRED)
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/our_fmt)
file(CREATE_LINK ${FMT_INCLUDE_DIR}/fmt ${CMAKE_BINARY_DIR}/our_fmt/fmt SYMBOLIC)
target_include_directories(torch SYSTEM INTERFACE ${CMAKE_BINARY_DIR}/our_fmt
                           ${TORCH_ROOT}/include ${TORCH_ROOT}/include/torch/csrc/api/include)
target_link_directories(torch INTERFACE ${TORCH_ROOT}/lib)
# The CUDA libraries that LibTorch itself needs; at run time its own RPATH finds them at the same place.
file(GLOB nvidia_folders ${TORCH_ROOT}/../nvidia/*/lib)
set(rpath_links "")
foreach(folder ${TORCH_ROOT}/lib ${nvidia_folders})
  list(APPEND rpath_links "LINKER:-rpath-link,${folder}")
endforeach()
target_link_options(torch INTERFACE "LINKER:-rpath,${TORCH_ROOT}/lib" ${rpath_links})
set(libraries torch_cpu c10)
# Without OpenMP at::parallel_for is a plain loop. Its runtime has to be LibTorch's own: another has threads of its own.
find_package(OpenMP REQUIRED COMPONENTS CXX)
target_compile_options(torch INTERFACE $<$<COMPILE_LANGUAGE:CXX>:${OpenMP_CXX_FLAGS}>)
file(GLOB openmp_library ${TORCH_ROOT}/lib/libgomp*.so* ${TORCH_ROOT}/lib/libiomp5.so)
if(NOT openmp_library)
  set(openmp_library OpenMP::OpenMP_CXX)
endif()
list(APPEND libraries ${openmp_library})

if(CRESCENDO_CUDA)
  find_package(CUDAToolkit REQUIRED)
  target_include_directories(torch SYSTEM INTERFACE ${CUDAToolkit_INCLUDE_DIRS})
  # The runtime that LibTorch itself loads; where it stands elsewhere, the toolkit's.
  find_file(CUDART_LIBRARY libcudart.so.${CUDAToolkit_VERSION_MAJOR} PATHS ${nvidia_folders} NO_DEFAULT_PATH)
  if(NOT CUDART_LIBRARY)
    set(CUDART_LIBRARY CUDA::cudart)
  endif()
  list(APPEND libraries torch_cuda c10_cuda)
  target_compile_definitions(torch INTERFACE CRESCENDO_CUDA=1)
  target_compile_options(torch INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-interference-size>
                         $<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr>)
endif()
# --as-needed would drop libtorch_cuda, which no symbol asks for: it registers its kernels when it is loaded.
target_link_libraries(torch INTERFACE -Wl,--no-as-needed ${libraries} ${CUDART_LIBRARY} -Wl,--as-needed)
