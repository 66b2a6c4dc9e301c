# The CPU backend, compiled into a separate library for each instruction set, so that no inline function compiled
# for one set can be linked into another. The addon opens the best one that the processor supports.
set(CPU_NOTE ${CMAKE_LIBRARY_OUTPUT_DIRECTORY}/nextpatch_cpu_baseline.missing)
file(REMOVE ${CPU_NOTE})
set(NEXTPATCH_ONEDNN "" CACHE PATH "Prefix of a static oneDNN; empty: the machine's own")
if(NEXTPATCH_ONEDNN)
  set(DNNL_INCLUDE_DIR ${NEXTPATCH_ONEDNN}/include)
  set(DNNL_LIBRARY ${NEXTPATCH_ONEDNN}/lib/libdnnl.a)
  if(NOT EXISTS ${DNNL_LIBRARY})
    message(FATAL_ERROR "nextpatch: NEXTPATCH_ONEDNN: expected a static oneDNN but ${DNNL_LIBRARY} does not exist")
  endif()
else()
  find_path(DNNL_INCLUDE_DIR oneapi/dnnl/dnnl.h)
  find_library(DNNL_LIBRARY NAMES dnnl)
endif()
if(NOT DNNL_INCLUDE_DIR OR NOT DNNL_LIBRARY)
  set(CPU_PROBLEM "the cpu backend needs oneDNN; on Debian or Ubuntu: apt-get install libdnnl-dev")
  if(NOT TARGET nextpatch_cuda)
    message(FATAL_ERROR "nextpatch: ${CPU_PROBLEM}")  # no backend would be left
  endif()
  message(STATUS "nextpatch: ${CPU_PROBLEM}")
  file(WRITE ${CPU_NOTE} "${CPU_PROBLEM}, then ${BUILD_AGAIN}\n")
  return()
endif()
find_package(OpenMP REQUIRED COMPONENTS CXX)

file(GLOB CPU_SOURCES CONFIGURE_DEPENDS native/cpu/*.cpp)
function(add_cpu_backend isa)
  set(target nextpatch_cpu_${isa})
  add_library(${target} MODULE ${CPU_SOURCES} ${HOST_COLLECTIVES} ${CMAKE_SOURCE_DIR}/native/core/worker.cpp
    ${VERSION_SOURCE})
  set_target_properties(${target} PROPERTIES PREFIX "")
  target_include_directories(${target} PRIVATE ${DNNL_INCLUDE_DIR})
  target_compile_definitions(${target} PRIVATE NEXTPATCH_ISA="${isa}")
  # -ffp-contract=fast: products and sums may fuse, always the same way in one build.
  # -fno-math-errno: nothing reads errno, so square roots become single instructions.
  target_compile_options(${target} PRIVATE
    -fvisibility=hidden -Wall -Wextra -Wno-psabi -O3 -ffp-contract=fast -fno-math-errno ${ARGN})
  target_link_libraries(${target} PRIVATE OpenMP::OpenMP_CXX ${DNNL_LIBRARY} ${CMAKE_DL_LIBS})
  sanitize_library(${target})
  release_library(${target} nextpatch_backend)
endfunction()

add_cpu_backend(baseline)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  add_cpu_backend(avx2 -march=haswell)
  add_cpu_backend(avx512_bf16 -march=cooperlake -mprefer-vector-width=512)
endif()
