# The bytes of models/pocket.gguf as read-only data. WEIR_EMBEDDED_MODEL is set by CMake.
    .section .rodata
    .balign 64
    .global weir_embedded_model
    .global weir_embedded_model_end
weir_embedded_model:
    .incbin WEIR_EMBEDDED_MODEL
weir_embedded_model_end:
    .byte 0
    .section .note.GNU-stack,"",%progbits
