#include "server/openai_client.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "server/json_body.h"

namespace weir {
namespace {

using nlohmann::json;

constexpr size_t kLongestEvent = size_t{1} << 20;

std::string text_member(const json& object, const char* name) {
  const auto member = object.find(name);
  return member != object.end() && member->is_string() ? member->get<std::string>() : "";
}

int64_t count_member(const json& object, const char* name) {
  const auto member = object.find(name);
  return member != object.end() && member->is_number_integer() ? member->get<int64_t>() : 0;
}

AnswerPiece piece_of(const json& choice) {
  if (!choice.is_object()) fail(Code::bad_format, "a choice of the answer is no object");
  AnswerPiece piece;
  piece.choice = static_cast<size_t>(std::max<int64_t>(0, count_member(choice, "index")));
  piece.text = text_member(choice, "text");
  for (const char* name : {"delta", "message"})
    if (const auto part = choice.find(name); part != choice.end() && part->is_object())
      piece.text = text_member(*part, "content");
  piece.finish = text_member(choice, "finish_reason");
  return piece;
}

void add_object(std::string_view text, ReadAnswer& answer) {
  const json object = parse_json_object(text);
  if (const auto error = object.find("error"); error != object.end()) {
    answer.error = error->is_object() ? text_member(*error, "message") : error->dump();
    return;
  }
  const auto choices = object.find("choices");
  if (choices == object.end() || !choices->is_array())
    fail(Code::bad_format, "the answer has no list 'choices'");
  for (const json& choice : *choices) answer.pieces.push_back(piece_of(choice));
  const auto usage = object.find("usage");
  if (usage == object.end() || !usage->is_object()) return;
  answer.usage.emplace();
  answer.usage->prompt_tokens = count_member(*usage, "prompt_tokens");
  answer.usage->generated_tokens = count_member(*usage, "completion_tokens");
  const auto details = usage->find("prompt_tokens_details");
  if (details != usage->end() && details->is_object())
    answer.usage->cached_tokens = count_member(*details, "cached_tokens");
}

void add_event(std::string_view event, ReadAnswer& answer) {
  while (!event.empty()) {
    const auto end = std::min(event.find('\n'), event.size());
    std::string_view line = event.substr(0, end);
    event.remove_prefix(std::min(end + 1, event.size()));
    if (!line.starts_with("data:")) continue;  // comments, event names
    line.remove_prefix(line.starts_with("data: ") ? 6 : 5);
    if (line == "[DONE]")
      answer.done = true;
    else
      add_object(line, answer);
  }
}

}  // namespace

ReadAnswer OpenAiStreamReader::push(std::string_view bytes) {
  ReadAnswer answer;
  pending_ += bytes;
  size_t at = 0;
  for (size_t end; (end = pending_.find("\n\n", at)) != std::string::npos; at = end + 2)
    add_event(std::string_view(pending_).substr(at, end - at), answer);
  pending_.erase(0, at);
  if (pending_.size() > kLongestEvent)
    fail(Code::limit_exceeded, "an event of the stream has more than {} bytes", kLongestEvent);
  return answer;
}

ReadAnswer read_openai_answer(std::string_view body) {
  ReadAnswer answer;
  add_object(body, answer);
  answer.done = true;
  return answer;
}

}  // namespace weir
