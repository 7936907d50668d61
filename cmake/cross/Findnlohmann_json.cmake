# nlohmann-json for a cross build: it is header-only anyway.
include(${CMAKE_CURRENT_LIST_DIR}/host_headers.cmake)
weir_host_headers(nlohmann_json::nlohmann_json nlohmann)
set(nlohmann_json_FOUND TRUE)
