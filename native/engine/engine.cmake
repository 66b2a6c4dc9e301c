# The engines of many ranks: one source, compiled for each MPI whose compiler wrapper is found. Without one the rest is
# built, and a note beside the libraries says how to get it, for `nextpatch info`. An MPI is opened only when ranks are
# asked for.
set(ENGINE_SOURCE ${CMAKE_CURRENT_LIST_DIR}/mpi.cpp)

# add_engine(NAME PACKAGE TITLE COMPILE LINK WRAPPER...): COMPILE and LINK are the wrapper's options that print its own.
function(add_engine name package title compile link)
  set(note ${CMAKE_LIBRARY_OUTPUT_DIRECTORY}/nextpatch_${name}.missing)
  file(REMOVE ${note})
  foreach(wrapper ${ARGN})
    find_program(FOUND_WRAPPER ${wrapper} NO_CACHE)
    if(NOT FOUND_WRAPPER)
      continue()
    endif()
    execute_process(COMMAND ${FOUND_WRAPPER} ${compile} OUTPUT_VARIABLE compiled RESULT_VARIABLE failed ERROR_QUIET
      OUTPUT_STRIP_TRAILING_WHITESPACE)
    if(failed)
      unset(FOUND_WRAPPER)
      continue()
    endif()
    execute_process(COMMAND ${FOUND_WRAPPER} ${link} OUTPUT_VARIABLE linked OUTPUT_STRIP_TRAILING_WHITESPACE)
    break()
  endforeach()
  if(NOT FOUND_WRAPPER OR CMAKE_CROSSCOMPILING)
    set(why "the ${name} engine (several ranks, on ${title}) was not built: ${title} was not found; on Debian or Ubuntu: \
apt-get install ${package}, then ${BUILD_AGAIN}")
    message(STATUS "nextpatch: ${why}")
    file(WRITE ${note} "${why}\n")
    return()
  endif()
  # MPICH prints its whole command line, and Debian's has options of its own builds: only where MPI lies is wanted.
  string(REGEX MATCHALL "(^| )-I[^ ]+" compiled "${compiled}")
  string(REGEX MATCHALL "(^| )-[Ll][^ ]+" linked "${linked}")
  list(TRANSFORM compiled STRIP)
  list(TRANSFORM linked STRIP)
  list(TRANSFORM compiled REPLACE "^-I" "")
  set(target nextpatch_${name})
  add_library(${target} MODULE ${ENGINE_SOURCE} ${VERSION_SOURCE})
  set_target_properties(${target} PROPERTIES PREFIX "")
  target_include_directories(${target} SYSTEM PRIVATE ${compiled})
  target_compile_definitions(${target} PRIVATE OMPI_SKIP_MPICXX MPICH_SKIP_MPICXX)
  target_compile_options(${target} PRIVATE -Wall -Wextra)
  target_link_libraries(${target} PRIVATE ${linked} Threads::Threads)
  sanitize_library(${target})
  release_library(${target} nextpatch_engine)
endfunction()

add_engine(openmpi libopenmpi-dev "Open MPI" --showme:compile --showme:link mpicc.openmpi mpicc)
add_engine(mpich libmpich-dev MPICH -compile_info -link_info mpicc.mpich mpicc)
