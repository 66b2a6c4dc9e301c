# The cuda backend: needs nvcc (CUDA 12.4 or later) and cuBLAS, from the toolkit or from NVIDIA's Python
# wheels. Where one is missing the rest is built, and a note beside the libraries says why for `nextpatch info`.
set(CUDA_DIR ${CMAKE_CURRENT_LIST_DIR})
set(CUDA_NOTE ${CMAKE_LIBRARY_OUTPUT_DIRECTORY}/nextpatch_cuda.missing)
file(REMOVE ${CUDA_NOTE})

macro(skip_cuda why)
  message(STATUS "nextpatch: the cuda backend is not built: ${why}")
  file(WRITE ${CUDA_NOTE} "the cuda backend was not built: ${why}\n")
  return()
endmacro()

# ---- nvcc -----------------------------------------------------------------------------------------------
# What was missing, or older, when this was last configured may have been installed since.
unset(NVCC CACHE)
unset(CUBLAS_PYTHON CACHE)
find_program(NVCC nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
if(NOT NVCC)
  skip_cuda("nvcc was not found. Install the CUDA toolkit 12.4 or later (https://developer.nvidia.com/cuda-downloads) \
and put nvcc on the PATH or set CUDA_HOME, then npm run build:native")
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

# ---- cuBLAS ---------------------------------------------------------------------------------------------
set(CUBLAS_ROOTS)
foreach(folder ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
  get_filename_component(folder ${folder} DIRECTORY)
  list(APPEND CUBLAS_ROOTS ${folder})
endforeach()
find_program(CUBLAS_PYTHON NAMES python3 python)
if(CUBLAS_PYTHON)
  execute_process(COMMAND ${CUBLAS_PYTHON} -c "import nvidia; print(*nvidia.__path__, sep=';', end='')"
    OUTPUT_VARIABLE NVIDIA_WHEELS ERROR_QUIET)
  foreach(folder ${NVIDIA_WHEELS})
    list(APPEND CUBLAS_ROOTS ${folder}/cu${NVCC_MAJOR} ${folder}/cublas)
  endforeach()
endif()
set(CUBLASLT_LIBRARY)
foreach(root ${CUBLAS_ROOTS})
  # The wheels hold no unversioned name.
  file(GLOB library ${root}/lib64/libcublasLt.so.${NVCC_MAJOR} ${root}/lib/libcublasLt.so.${NVCC_MAJOR}
    ${root}/lib/x86_64-linux-gnu/libcublasLt.so.${NVCC_MAJOR})
  if(library AND EXISTS ${root}/include/cublasLt.h)
    list(GET library 0 CUBLASLT_LIBRARY)
    set(CUBLASLT_INCLUDE_DIR ${root}/include)
    break()
  endif()
endforeach()
if(NOT CUBLASLT_LIBRARY)
  if(NVCC_MAJOR LESS 13)
    set(CUBLAS_WHEEL nvidia-cublas-cu${NVCC_MAJOR})
  else()
    set(CUBLAS_WHEEL nvidia-cublas)
  endif()
  skip_cuda("cuBLAS ${NVCC_MAJOR} (libcublasLt.so.${NVCC_MAJOR} and cublasLt.h) was found neither in the toolkit of ${NVCC} \
nor in a Python wheel. Install the toolkit's cuBLAS, or: pip install ${CUBLAS_WHEEL}; then npm run build:native")
endif()
message(STATUS "nextpatch: the cuda backend is built by CUDA ${NVCC_VERSION} with ${CUBLASLT_LIBRARY}")

# ---- The library ----------------------------------------------------------------------------------------
file(GLOB_RECURSE CUDA_SOURCES CONFIGURE_DEPENDS ${CUDA_DIR}/*.cu ${CUDA_DIR}/*.cpp)
add_library(nextpatch_cuda MODULE ${CUDA_SOURCES})
set_target_properties(nextpatch_cuda PROPERTIES PREFIX "" CUDA_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden)
# System headers: the wheels' and the toolkit's are not ours to warn about.
target_include_directories(nextpatch_cuda SYSTEM PRIVATE ${CUBLASLT_INCLUDE_DIR} ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
# 8.0 runs on all of 8.x; 9.0a is Hopper with its own instructions; the PTX serves what comes later.
target_compile_options(nextpatch_cuda PRIVATE
  $<$<COMPILE_LANGUAGE:CUDA>:-gencode=arch=compute_80,code=sm_80 -gencode=arch=compute_90a,code=sm_90a
    -gencode=arch=compute_90,code=compute_90 -lineinfo -Xcompiler=-Wall,-Wextra,-Wno-unused-parameter>
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wno-unused-parameter>)
target_link_libraries(nextpatch_cuda PRIVATE ${CUBLASLT_LIBRARY} Threads::Threads ${CMAKE_DL_LIBS} rt)
