// GPT-2's alphabet for bytes: the 256 bytes written as 256 printable characters, so that a
// byte-level vocabulary can be stored as text (the table of OpenAI's published encoder: printable
// Latin-1 stands for itself, the other 68 bytes are U+0100 and up, in order).
#pragma once

#include <string>
#include <string_view>

namespace weir {

/// Appends the bytes that `token` stands for. A token with a character outside the alphabet is
/// literal text, appended unchanged; then false.
bool append_from_byte_alphabet(std::string& out, std::string_view token);

/// `bytes` written in the alphabet.
std::string to_byte_alphabet(std::string_view bytes);

}  // namespace weir
