# The libraries as the npm packages have them: they need glibc 2.34 and libgomp, which lies beside them, and nothing
# else of the machine; they export their entry and nothing else, so that no two copies of libstdc++, oneDNN or the CUDA
# runtime in a process meet. Exceptions pass between them all the same (release/unwinder.cpp): an unwinder walks the
# frames of all libraries, and types are compared by name. It reads its copies' data in the other libraries, so all
# packages of a version are built by one compiler.
option(NEXTPATCH_RELEASE "Static libstdc++ and libgcc, hidden symbols, stripped" OFF)
set(RELEASE_DIR ${CMAKE_CURRENT_LIST_DIR}/release)

# release_library(TARGET SYMBOL...): the symbols that it exports.
function(release_library target)
  if(NOT NEXTPATCH_RELEASE)
    return()
  endif()
  list(JOIN ARGN "; " symbols)
  set(script ${CMAKE_BINARY_DIR}/${target}.map)
  file(WRITE ${script} "{ global: ${symbols}; local: *; };\n")
  target_sources(${target} PRIVATE ${RELEASE_DIR}/unwinder.cpp)
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=>
    $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=>)
  target_link_options(${target} PRIVATE -static-libstdc++ -static-libgcc -s
    LINKER:--exclude-libs,ALL LINKER:--gc-sections LINKER:--as-needed LINKER:--version-script,${script})
  # Node itself has what the addon lacks.
  if(NOT target STREQUAL nextpatch)
    target_link_options(${target} PRIVATE LINKER:-z,defs)
  endif()
  set_target_properties(${target} PROPERTIES
    BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH "$ORIGIN" LINK_DEPENDS ${script})
endfunction()
