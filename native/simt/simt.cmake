# The simt backend: the CUDA sources compiled by the host's compiler against native/simt/include, for tests
# on machines without a GPU.
option(NEXTPATCH_RACES "Build the simt backend with a check of every access to shared memory for races" OFF)
option(NEXTPATCH_TESTS "Build the tests of the simt runtime itself" OFF)

find_library(BOOST_CONTEXT_LIBRARY NAMES boost_context)
find_path(BOOST_CONTEXT_INCLUDE_DIR boost/context/detail/fcontext.hpp)
if(NOT BOOST_CONTEXT_LIBRARY OR NOT BOOST_CONTEXT_INCLUDE_DIR)
  set(SIMT_MISSING "the simt backend (the CUDA kernels on the host, for tests) needs Boost.Context; on Debian or \
Ubuntu: apt-get install libboost-context-dev, then ${BUILD_AGAIN}")
  message(STATUS "nextpatch: ${SIMT_MISSING}")
  file(WRITE ${CMAKE_LIBRARY_OUTPUT_DIRECTORY}/nextpatch_simt.missing "${SIMT_MISSING}\n")
  return()
endif()
file(REMOVE ${CMAKE_LIBRARY_OUTPUT_DIRECTORY}/nextpatch_simt.missing)

# CMake treats a .cu file as CUDA, so for this library each gets a generated C++ file that includes it.
get_filename_component(CUDA_SOURCE_DIR ${CMAKE_CURRENT_LIST_DIR}/../cuda ABSOLUTE)
file(GLOB_RECURSE SIMT_CUDA_SOURCES CONFIGURE_DEPENDS RELATIVE ${CUDA_SOURCE_DIR} ${CUDA_SOURCE_DIR}/*.cu)
set(SIMT_WRAPPERS)
foreach(source ${SIMT_CUDA_SOURCES})
  string(REGEX REPLACE "\\.cu$" ".cpp" wrapper ${CMAKE_BINARY_DIR}/simt/${source})
  set(text "#include \"${CUDA_SOURCE_DIR}/${source}\"\n")
  set(old "")
  if(EXISTS ${wrapper})
    file(READ ${wrapper} old)
  endif()
  if(NOT text STREQUAL old)
    file(WRITE ${wrapper} "${text}")
  endif()
  list(APPEND SIMT_WRAPPERS ${wrapper})
endforeach()
file(GLOB SIMT_RUNTIME_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.cpp)
# The library of kernels has products and ranks too.
set(SIMT_LIBRARY_SOURCES ${SIMT_RUNTIME_SOURCES})
list(FILTER SIMT_LIBRARY_SOURCES INCLUDE REGEX "/(gemm|ranks)\\.cpp$")
list(REMOVE_ITEM SIMT_RUNTIME_SOURCES ${SIMT_LIBRARY_SOURCES})

function(configure_simt target)
  target_include_directories(${target} PRIVATE ${SIMT_DIR}/include ${BOOST_CONTEXT_INCLUDE_DIR})
  target_compile_definitions(${target} PRIVATE NEXTPATCH_SIMT=1)
  # -fno-strict-aliasing: kernels access the same memory as different types, which CUDA allows. Sanitized, attention's
  # sources compile in 0.6 of the time at -O1.
  target_compile_options(${target} PRIVATE -fvisibility=hidden -Wall -Wextra -Wno-unknown-pragmas
    -Wno-unused-parameter $<IF:$<BOOL:${NEXTPATCH_SANITIZE}>,-O1,-O2> -g1 -fno-strict-aliasing)
  target_link_libraries(${target} PRIVATE ${BOOST_CONTEXT_LIBRARY} Threads::Threads)
  if(NEXTPATCH_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=undefined)
    target_link_options(${target} PRIVATE -fsanitize=address,undefined)
  endif()
  if(NEXTPATCH_RACES)
    target_compile_definitions(${target} PRIVATE NEXTPATCH_RACES=1)
    target_link_options(${target} PRIVATE -Wl,--no-undefined)  # a hook that races.cpp lacks ends the build
  endif()
endfunction()
set(SIMT_DIR ${CMAKE_CURRENT_LIST_DIR})

# The compiler's calls at every access of these sources go to races.cpp; its own library is not linked.
function(watch_accesses)
  if(NEXTPATCH_RACES)
    set_source_files_properties(${ARGN} PROPERTIES
      COMPILE_OPTIONS "-fsanitize=thread;--param=tsan-instrument-func-entry-exit=0")
  endif()
endfunction()

# Not what is code of the host alone, which has atomics.
set(SIMT_KERNELS ${SIMT_WRAPPERS})
list(FILTER SIMT_KERNELS EXCLUDE REGEX "/(context|communication)\\.cpp$")
watch_accesses(${SIMT_KERNELS})
set(NCCL_SOURCES ${CUDA_SOURCE_DIR}/nccl.cpp ${CUDA_SOURCE_DIR}/nccl_collectives.cpp ${CUDA_SOURCE_DIR}/find_library.cpp)
# Compiled once for all that it is linked into.
add_library(simt_runtime OBJECT ${SIMT_RUNTIME_SOURCES})
set_target_properties(simt_runtime PROPERTIES POSITION_INDEPENDENT_CODE ON)
configure_simt(simt_runtime)
add_library(nextpatch_simt MODULE ${SIMT_WRAPPERS} ${SIMT_LIBRARY_SOURCES} $<TARGET_OBJECTS:simt_runtime>
  ${HOST_COLLECTIVES} ${NCCL_SOURCES} ${VERSION_SOURCE})
set_target_properties(nextpatch_simt PROPERTIES PREFIX "")
configure_simt(nextpatch_simt)
target_link_libraries(nextpatch_simt PRIVATE ${CMAKE_DL_LIBS})

# A library that stands in for one of NVIDIA's, opened at run time.
function(add_fake name source)
  add_library(${name} MODULE ${source})
  configure_simt(${name})
  set_target_properties(${name} PROPERTIES CXX_VISIBILITY_PRESET default)
  target_compile_options(${name} PRIVATE -fvisibility=default)
  target_link_libraries(${name} PRIVATE ${CMAKE_DL_LIBS})
endfunction()
add_fake(fake_nccl ${SIMT_DIR}/test/nccl/fake.cpp)

if(NEXTPATCH_TESTS)
  file(GLOB SIMT_TEST_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/test/*.cpp)
  watch_accesses(${CMAKE_CURRENT_LIST_DIR}/test/races_test.cpp)
  add_executable(simt_test ${SIMT_TEST_SOURCES} $<TARGET_OBJECTS:simt_runtime>)
  configure_simt(simt_test)

  # The CUDA backend's products against a cuBLASLt that checks what it is asked.
  set(CUBLASLT_TEST ${SIMT_DIR}/test/cublaslt)
  add_fake(fake_cublaslt ${CUBLASLT_TEST}/fake.cpp)
  add_executable(cublaslt_test ${CUBLASLT_TEST}/gemm_test.cpp ${CUBLASLT_TEST}/products_test.cpp
    ${CUDA_SOURCE_DIR}/gemm_cublaslt.cpp ${CUDA_SOURCE_DIR}/cublaslt.cpp ${CUDA_SOURCE_DIR}/find_library.cpp
    $<TARGET_OBJECTS:simt_runtime>)
  # Its operations on several ranks, against an NCCL that does.
  set(CORE_DIR ${SIMT_DIR}/../core)
  add_executable(nccl_test ${SIMT_DIR}/test/nccl/nccl_test.cpp ${NCCL_SOURCES} ${CORE_DIR}/rendezvous.cpp
    ${CORE_DIR}/socket.cpp ${VERSION_SOURCE} ${CMAKE_BINARY_DIR}/simt/stream_progress.cpp $<TARGET_OBJECTS:simt_runtime>)
  set_target_properties(nccl_test PROPERTIES ENABLE_EXPORTS ON)  # the fake finds the runtime in it
  foreach(target cublaslt_test nccl_test)
    configure_simt(${target})
    target_link_libraries(${target} PRIVATE ${CMAKE_DL_LIBS})
  endforeach()
endif()
