# Compiler flags for every target. Floating point is strict (the numerics contract): no contraction
# unless the source says fma, no reassociation.
add_compile_options(-Wall -Wextra -Werror -Wshadow -Wconversion -Wno-sign-conversion
                    -ffp-contract=off -fno-math-errno)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports false positives from these in its own headers when optimising.
  add_compile_options(-Wno-maybe-uninitialized -Wno-restrict -Wno-stringop-overflow
                      -Wno-array-bounds -Wno-stringop-overread -Wno-psabi)
endif()
if(WEIR_SANITIZE)
  add_compile_options(-fsanitize=${WEIR_SANITIZE} -fno-omit-frame-pointer)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-mismatched-new-delete)  # the same, of Asio's coroutine frames
  endif()
  add_link_options(-fsanitize=${WEIR_SANITIZE})
  if(WEIR_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=undefined)
    if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
      add_compile_options(-fno-sanitize=function)  # clang 14 cannot assemble it for coroutines
    endif()
  endif()
endif()
if(WEIR_SANITIZE MATCHES "thread")
  add_compile_definitions(BOOST_ASIO_DISABLE_FENCED_BLOCK)  # fences that TSan cannot follow
endif()
if(WEIR_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
