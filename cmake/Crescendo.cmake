# How everything here is compiled, and:
# crescendo_library(NAME SOURCES file... [DEPENDS target...])   one folder = one target
# crescendo_test(NAME SOURCES file... [DEPENDS target...])      all unit tests of a folder in one binary, one ctest entry

# The second build of a file is instant with ccache; all works without it. (Not mold: that of Debian 12, 1.10.1, now and then
# writes a program that does not start, where a thread-local section ends just before a page.)
find_program(CCACHE ccache)
if(CCACHE)
  foreach(language CXX CUDA)
    if(NOT DEFINED CMAKE_${language}_COMPILER_LAUNCHER)
      set(CMAKE_${language}_COMPILER_LAUNCHER ${CCACHE})
    endif()
  endforeach()
endif()

add_library(crescendo_flags INTERFACE)
target_include_directories(crescendo_flags INTERFACE ${CMAKE_SOURCE_DIR})
set(warnings -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion)
set(cuda_warnings -Xcompiler=-Wall,-Wextra)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  list(APPEND warnings -Werror)  # newer compilers know warnings that nobody here has seen yet
  list(APPEND cuda_warnings -Werror=all-warnings -Xcompiler=-Werror)
endif()
target_compile_options(crescendo_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:${warnings}>
                       $<$<COMPILE_LANGUAGE:CUDA>:${cuda_warnings}>)
if(CRESCENDO_SANITIZE)
  # -O1 compiles in half the time; g++ 12 takes std::regex for uninitialized once it is instrumented.
  target_compile_options(crescendo_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
                         -O1 -Wno-maybe-uninitialized)
  target_link_options(crescendo_flags INTERFACE -fsanitize=address,undefined)
endif()

# clang-analyzer takes four times as long over the macros of GoogleTest as all other checks, and takes the loop of Google
# Benchmark for a dead store.
function(without_clang_analyzer NAME)
  if(CMAKE_CXX_CLANG_TIDY)
    set_target_properties(${NAME} PROPERTIES CXX_CLANG_TIDY "${CMAKE_CXX_CLANG_TIDY};-checks=-clang-analyzer-*")
  endif()
endfunction()

function(crescendo_library NAME)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(${NAME} STATIC ${ARG_SOURCES})
  target_link_libraries(${NAME} PUBLIC ${ARG_DEPENDS} PRIVATE crescendo_flags)
  target_include_directories(${NAME} PUBLIC ${CMAKE_SOURCE_DIR})
endfunction()

function(crescendo_test NAME)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${NAME} ${ARG_SOURCES})
  target_link_libraries(${NAME} PRIVATE ${ARG_DEPENDS} GTest::gtest GTest::gmock_main crescendo_flags)
  target_compile_options(${NAME} PRIVATE $<$<CONFIG:Release>:-O1>)  # a third faster to compile; what is tested is optimized
  without_clang_analyzer(${NAME})
  add_test(NAME ${NAME} COMMAND ${NAME} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
endfunction()
