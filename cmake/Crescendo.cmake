# crescendo_library(NAME SOURCES file... [DEPENDS target...])   one folder = one target
# crescendo_test(NAME SOURCES file... [DEPENDS target...])      all unit tests of a folder in one binary, one ctest entry

add_library(crescendo_flags INTERFACE)
target_compile_options(crescendo_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Werror)
target_include_directories(crescendo_flags INTERFACE ${CMAKE_SOURCE_DIR})
if(CRESCENDO_SANITIZE)
  target_compile_options(crescendo_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(crescendo_flags INTERFACE -fsanitize=address,undefined)
endif()

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
  add_test(NAME ${NAME} COMMAND ${NAME} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
endfunction()
