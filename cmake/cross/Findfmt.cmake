# fmt for a cross build: header-only.
include(${CMAKE_CURRENT_LIST_DIR}/host_headers.cmake)
weir_host_headers(fmt::fmt fmt)
target_compile_definitions(fmt::fmt INTERFACE FMT_HEADER_ONLY)
set(fmt_FOUND TRUE)
