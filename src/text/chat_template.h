// Chat templates: the conversation as the text a model was trained on. A template comes with the
// model and is rendered as Python's Jinja2 does with the settings of Hugging Face; it can reach
// nothing but the values given here, and its work, memory and output are bounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace weir {

struct ChatMessage {
  std::string role;
  std::string content;
  std::string
      extra;  // further members as the text of a JSON object (tool_calls, name, …), or empty
};

/// messages as the JSON array that templates expect: [{"role": …, "content": …, …}, …].
/// Throws Error{invalid_argument} if some `extra` is no JSON object.
nlohmann::ordered_json chat_messages_json(std::span<const ChatMessage> messages);

struct TemplateLimits {
  int depth = 64;                   // nesting of constructs, of calls and of values
  std::uint64_t steps = 1'000'000;  // evaluated nodes, plus a share for every byte touched
  std::size_t output = 16u << 20;   // bytes
};

/// What a template sees. JSON is borrowed for the call. Tools that are not there are undefined to
/// the template, not None: some published templates ask only whether they are defined.
struct RenderInput {
  const nlohmann::ordered_json* messages = nullptr;  // an array
  const nlohmann::ordered_json* tools = nullptr;     // an array
  bool add_generation_prompt = true;
  std::string bos_token;
  std::string eos_token;
  /// More variables by name, such as enable_thinking. They are values, never arguments of the
  /// engine; they cannot replace the members above or the functions of the language.
  std::map<std::string, const nlohmann::ordered_json*> extra;
  /// Local time for strftime_now; absent: now.
  std::optional<std::tm> now;
  TemplateLimits limits;
};

/// A piece of rendered text. Special tokens may be recognised only in pieces that come from the
/// template: its literal text, bos_token, eos_token, plain role names (user, assistant, …) and
/// numbers. What users wrote, and text computed from it, never does.
struct Segment {
  std::string text;
  bool from_template;
  bool operator==(const Segment&) const = default;
};

class ChatTemplate {
 public:
  /// Throws Error{bad_format}, which names line and construct, or Error{limit_exceeded}.
  static ChatTemplate parse(const std::string& source);

  /// Throws Error: invalid_argument if the template refuses the conversation, bad_format if it
  /// fails on it, limit_exceeded. The message names line and construct.
  std::string render(const RenderInput& input) const;

  /// The same text in pieces; neighbours differ in origin.
  std::vector<Segment> render_segments(const RenderInput& input) const;

 private:
  struct Impl;
  explicit ChatTemplate(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

}  // namespace weir
