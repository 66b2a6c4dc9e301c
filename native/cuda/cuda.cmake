# The cuda backend: needs nvcc (CUDA 12.4 or later). Without it the rest is built, and a note beside the libraries says
# why for `nextpatch info`. cuBLAS is found at run time (cublaslt.h).
set(CUDA_DIR ${CMAKE_CURRENT_LIST_DIR})
set(CUDA_NOTE ${CMAKE_LIBRARY_OUTPUT_DIRECTORY}/nextpatch_cuda.missing)
file(REMOVE ${CUDA_NOTE})

macro(skip_cuda why)
  message(STATUS "nextpatch: the cuda backend is not built: ${why}")
  file(WRITE ${CUDA_NOTE} "the cuda backend was not built: ${why}\n")
  return()
endmacro()

if(CMAKE_CROSSCOMPILING)
  skip_cuda("this is a build for another processor")
endif()

# ---- nvcc -----------------------------------------------------------------------------------------------
# What was missing, or older, when this was last configured may have been installed since.
unset(NVCC CACHE)
find_program(NVCC nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
if(NOT NVCC)
  skip_cuda("nvcc was not found. Install the CUDA toolkit 12.4 or later (https://developer.nvidia.com/cuda-downloads) \
and put nvcc on the PATH or set CUDA_HOME, then ${BUILD_AGAIN}")
endif()
execute_process(COMMAND ${NVCC} --version OUTPUT_VARIABLE NVCC_TEXT)
string(REGEX MATCH "release ([0-9]+)\\.([0-9]+)" _ "${NVCC_TEXT}")
set(NVCC_MAJOR "${CMAKE_MATCH_1}")
set(NVCC_VERSION "${CMAKE_MATCH_1}.${CMAKE_MATCH_2}")
if(NVCC_VERSION VERSION_LESS 12.4)
  skip_cuda("${NVCC} is CUDA ${NVCC_VERSION}, expected 12.4 or later")
endif()
if(NOT DEFINED ENV{CUDACXX})
  set(ENV{CUDACXX} ${NVCC})
endif()
if(NOT CMAKE_CUDA_COMPILER)
  unset(CMAKE_CUDA_COMPILER CACHE)
endif()
include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  skip_cuda("${NVCC} does not compile a test program with this C++ compiler (${CMAKE_CXX_COMPILER_ID} \
${CMAKE_CXX_COMPILER_VERSION}); see CMakeFiles/CMakeError.log in the build folder")
endif()
set(CMAKE_CUDA_STANDARD 17)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_ARCHITECTURES OFF)  # named below, with a suffix that older CMakes do not know
enable_language(CUDA)

message(STATUS "nextpatch: the cuda backend is built by CUDA ${NVCC_VERSION}")

# ---- The library ----------------------------------------------------------------------------------------
file(GLOB_RECURSE CUDA_SOURCES CONFIGURE_DEPENDS ${CUDA_DIR}/*.cu ${CUDA_DIR}/*.cpp)
add_library(nextpatch_cuda MODULE ${CUDA_SOURCES} ${VERSION_SOURCE})
set_target_properties(nextpatch_cuda PROPERTIES PREFIX "" CUDA_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden)
# System headers: the toolkit's are not ours to warn about.
target_include_directories(nextpatch_cuda SYSTEM PRIVATE ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
# Machine code for 8.x, from one PTX, and for Hopper with its own instructions; PTX for what comes later (gpu_code.h
# lists the same). Compressed, it is a quarter as large.
target_compile_options(nextpatch_cuda PRIVATE
  $<$<COMPILE_LANGUAGE:CUDA>:-gencode=arch=compute_80,code=[sm_80,sm_86,sm_89] -gencode=arch=compute_90a,code=sm_90a
    -gencode=arch=compute_90,code=compute_90 -Xfatbin=-compress-all
    $<$<NOT:$<BOOL:${NEXTPATCH_RELEASE}>>:-lineinfo>  # which has the paths of the sources
    -Xcompiler=-Wall,-Wextra,-Wno-unused-parameter>
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wno-unused-parameter>)
target_link_libraries(nextpatch_cuda PRIVATE Threads::Threads ${CMAKE_DL_LIBS} rt)
release_library(nextpatch_cuda nextpatch_backend)
