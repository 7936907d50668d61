#include "server/openai_answer.h"

#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>

#include "text/utf8.h"

namespace weir {
namespace {

using json = nlohmann::ordered_json;

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

/// A log-probability of 0 mass has no JSON number; OpenAI writes this one.
double finite_logprob(double value) { return value > -9999.0 ? value : -9999.0; }

std::string printable(const std::string& bytes) {
  Utf8Filter filter;
  std::string text = filter.push(bytes);
  return text + filter.finish();
}

struct Choice {
  std::string text;
  json logprobs;  // chat: list of tokens; completions: the four lists
  FinishReason finish = FinishReason::none;
  Statistics statistics;
};

class OpenAiWriter : public AnswerWriter {
 public:
  OpenAiWriter(const Call& call, AnswerFrame frame)
      : chat_(call.endpoint == Endpoint::openai_chat),
        stream_(call.options.stream),
        include_usage_(call.options.include_usage),
        n_(static_cast<size_t>(call.options.n)),
        frame_(std::move(frame)),
        choices_(call.requests.size()) {
    for (const Request& request : call.requests)
      wants_logprobs_.push_back(request.sampling.logprobs >= 0);
  }

  std::string_view content_type() const override {
    return stream_ ? "text/event-stream" : "application/json";
  }

  void begin(std::string& out) override {
    for (size_t i = 0; i < choices_.size(); ++i) {
      const std::string echo = i < frame_.echo.size() ? frame_.echo[i] : "";
      choices_[i].text = echo;
      if (!stream_) continue;
      if (chat_)
        send(out, {choice_json(i, {{"role", "assistant"}, {"content", ""}}, "", nullptr, nullptr)});
      else if (!echo.empty())
        send(out, {choice_json(i, nullptr, echo, nullptr, nullptr)});
    }
  }

  void event(size_t index, const Event& event, std::string& out) override {
    Choice& choice = choices_[index];
    json logprobs =
        wants_logprobs_[index] && event.token >= 0 ? logprobs_of(choice, event) : json();
    if (event.finish != FinishReason::none) {
      choice.finish = event.finish;
      if (event.statistics) choice.statistics = *event.statistics;
    }
    if (!stream_) {
      choice.text += event.text;
      collect(choice, std::move(logprobs));
      return;
    }
    choice.text += chat_ ? "" : event.text;  // completions: for the offsets of log-probabilities
    if (!event.text.empty() || !logprobs.is_null())
      send(out,
           {choice_json(index, {{"content", event.text}}, event.text, wrap(logprobs), nullptr)});
    if (event.finish != FinishReason::none)
      send(out,
           {choice_json(index, json::object(), "", nullptr, finish_reason_name(event.finish))});
  }

  void end(std::string& out) override {
    if (stream_) {
      if (include_usage_) {
        json chunk = head();
        chunk["choices"] = json::array();
        chunk["usage"] = usage();
        out += "data: " + dump(chunk) + "\n\n";
      }
      out += "data: [DONE]\n\n";
      return;
    }
    json body = head();
    body["choices"] = json::array();
    for (size_t i = 0; i < choices_.size(); ++i) {
      Choice& choice = choices_[i];
      json message = {{"role", "assistant"}, {"content", choice.text}, {"refusal", nullptr}};
      body["choices"].push_back(choice_json(i, std::move(message), choice.text,
                                            wrap(choice.logprobs),
                                            finish_reason_name(choice.finish)));
    }
    body["usage"] = usage();
    out += dump(body);
  }

  void fail(const ApiError& error, std::string& out) override {
    out += "event: error\ndata: " + error_body(error, ErrorShape::openai) + "\n\n";
  }

 private:
  json head() const {
    const char* object =
        chat_ ? (stream_ ? "chat.completion.chunk" : "chat.completion") : "text_completion";
    return {{"id", (chat_ ? "chatcmpl-" : "cmpl-") + frame_.id},
            {"object", object},
            {"created", frame_.created_ns / 1'000'000'000},
            {"model", frame_.model}};
  }

  /// `message` is the delta or message of a chat; `text` the text of a completion.
  json choice_json(size_t index, json message, const std::string& text, json logprobs,
                   json finish) const {
    json choice = {{"index", index}};
    if (chat_)
      choice[stream_ ? "delta" : "message"] = std::move(message);
    else
      choice["text"] = text;
    choice["logprobs"] = std::move(logprobs);
    choice["finish_reason"] = std::move(finish);
    return choice;
  }

  void send(std::string& out, json choices) const {
    json chunk = head();
    chunk["choices"] = std::move(choices);
    if (include_usage_) chunk["usage"] = nullptr;
    out += "data: " + dump(chunk) + "\n\n";
  }

  json token_json(int32_t id, double logprob) const {
    const std::string bytes = frame_.token_bytes(id);
    json numbers = json::array();
    for (const char c : bytes) numbers.push_back(static_cast<unsigned char>(c));
    return {{"token", printable(bytes)},
            {"logprob", finite_logprob(logprob)},
            {"bytes", std::move(numbers)}};
  }

  json logprobs_of(const Choice& choice, const Event& event) const {
    if (chat_) {
      json token = token_json(event.token, event.log_probability);
      token["top_logprobs"] = json::array();
      for (const TokenLogprob& top : event.top)
        token["top_logprobs"].push_back(token_json(top.id, top.logprob));
      return json::array({std::move(token)});
    }
    json top = json::object();
    for (const TokenLogprob& t : event.top)
      top[printable(frame_.token_bytes(t.id))] = finite_logprob(t.logprob);
    return {{"tokens", {printable(frame_.token_bytes(event.token))}},
            {"token_logprobs", {finite_logprob(event.log_probability)}},
            {"top_logprobs", json::array({std::move(top)})},
            {"text_offset", {choice.text.size()}}};
  }

  json wrap(json logprobs) const {
    if (logprobs.is_null() || !chat_) return logprobs;
    return {{"content", std::move(logprobs)}, {"refusal", nullptr}};
  }

  void collect(Choice& choice, json logprobs) const {
    if (logprobs.is_null()) return;
    if (choice.logprobs.is_null()) {
      choice.logprobs = std::move(logprobs);
    } else if (chat_) {
      choice.logprobs.push_back(std::move(logprobs[0]));
    } else {
      for (auto& [name, list] : choice.logprobs.items()) list.push_back(logprobs[name][0]);
    }
  }

  /// Answers to one prompt share its tokens: they count once.
  json usage() const {
    int64_t prompt = 0, cached = 0, generated = 0;
    for (size_t i = 0; i < choices_.size(); ++i) {
      const Statistics& s = choices_[i].statistics;
      generated += s.generated_tokens;
      if (i % n_ != 0) continue;
      prompt += s.prompt_tokens;
      cached += s.cached_tokens;
    }
    return {{"prompt_tokens", prompt},
            {"completion_tokens", generated},
            {"total_tokens", prompt + generated},
            {"prompt_tokens_details", {{"cached_tokens", cached}}}};
  }

  const bool chat_, stream_, include_usage_;
  const size_t n_;
  const AnswerFrame frame_;
  std::vector<bool> wants_logprobs_;
  std::vector<Choice> choices_;
};

}  // namespace

std::unique_ptr<AnswerWriter> make_openai_writer(const Call& call, AnswerFrame frame) {
  return std::make_unique<OpenAiWriter>(call, std::move(frame));
}

std::string encode_base64(std::string_view bytes) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k)
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    for (size_t k = 0; k < 4; ++k)
      out += i + k <= bytes.size() ? kAlphabet[group >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

std::string write_openai_embeddings(const std::vector<std::vector<float>>& vectors,
                                    const std::string& model, int64_t prompt_tokens, bool base64) {
  static_assert(std::endian::native == std::endian::little);
  json data = json::array();
  for (size_t i = 0; i < vectors.size(); ++i) {
    json item = {{"object", "embedding"}, {"index", i}};
    if (base64)
      item["embedding"] = encode_base64(
          {reinterpret_cast<const char*>(vectors[i].data()), vectors[i].size() * sizeof(float)});
    else
      item["embedding"] = vectors[i];
    data.push_back(std::move(item));
  }
  return dump({{"object", "list"},
               {"data", std::move(data)},
               {"model", model},
               {"usage", {{"prompt_tokens", prompt_tokens}, {"total_tokens", prompt_tokens}}}});
}

}  // namespace weir
