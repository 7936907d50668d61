# weir_host_headers(TARGET FOLDER): an interface target for a header-only library of the host, seen
# through a link in the build tree. /usr/include itself must not reach a cross compiler: it would
# find the host's C library there.
function(weir_host_headers target folder)
  if(TARGET ${target})
    return()
  endif()
  set(link ${CMAKE_BINARY_DIR}/host_headers/${folder})
  if(NOT EXISTS /usr/include/${folder})
    message(FATAL_ERROR "/usr/include/${folder} is missing; run scripts/install-deps --with neon")
  endif()
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/host_headers)
  file(CREATE_LINK /usr/include/${folder} ${link} SYMBOLIC)
  add_library(${target} INTERFACE IMPORTED GLOBAL)
  target_include_directories(${target} INTERFACE ${CMAKE_BINARY_DIR}/host_headers)
endfunction()
