#include "server/ollama_answer.h"

#include <ctime>
#include <nlohmann/json.hpp>

#include "text/utf8.h"

namespace weir {
namespace {

using json = nlohmann::ordered_json;

std::string line(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

int64_t ns(double seconds) { return static_cast<int64_t>(seconds * 1e9); }

std::string printable(const std::string& bytes) {
  Utf8Filter filter;
  std::string text = filter.push(bytes);
  return text + filter.finish();
}

json frame_json(const AnswerFrame& frame) {
  return {{"model", frame.model}, {"created_at", rfc3339(frame.created_ns)}};
}

void put_text(json& object, bool chat, const std::string& text) {
  if (chat)
    object["message"] = {{"role", "assistant"}, {"content", text}};
  else
    object["response"] = text;
}

class OllamaWriter : public AnswerWriter {
 public:
  OllamaWriter(const Call& call, AnswerFrame frame)
      : chat_(call.endpoint == Endpoint::ollama_chat),
        stream_(call.options.stream),
        logprobs_(call.options.logprobs),
        frame_(std::move(frame)) {}

  std::string_view content_type() const override {
    return stream_ ? "application/x-ndjson" : "application/json";
  }

  void begin(std::string&) override {}

  void event(size_t, const Event& event, std::string& out) override {
    json probabilities = logprobs_ && event.token >= 0 ? logprobs_of(event) : json();
    if (event.finish != FinishReason::none) {
      finish_ = event.finish;
      if (event.statistics) statistics_ = *event.statistics;
    }
    if (!stream_) {
      text_ += event.text;
      if (!probabilities.is_null()) all_logprobs_.push_back(std::move(probabilities));
      return;
    }
    if (event.text.empty() && probabilities.is_null()) return;
    json object = frame_json(frame_);
    put_text(object, chat_, event.text);
    object["done"] = false;
    if (!probabilities.is_null()) object["logprobs"] = json::array({std::move(probabilities)});
    out += line(object);
  }

  void end(std::string& out) override {
    json object = frame_json(frame_);
    put_text(object, chat_, text_);
    object["done"] = true;
    object["done_reason"] = finish_reason_name(finish_);
    object["total_duration"] = ns(statistics_.first_token_seconds + statistics_.decode_seconds);
    object["load_duration"] = ns(statistics_.load_seconds);
    object["prompt_eval_count"] = statistics_.prompt_tokens;
    object["prompt_eval_duration"] = ns(statistics_.prefill_seconds);
    object["eval_count"] = statistics_.generated_tokens;
    object["eval_duration"] = ns(statistics_.decode_seconds);
    if (!all_logprobs_.empty()) object["logprobs"] = std::move(all_logprobs_);
    out += line(object);
  }

  void fail(const ApiError& error, std::string& out) override {
    out += error_body(error, ErrorShape::ollama) + "\n";
  }

 private:
  json token_json(int32_t id, double logprob) const {
    return {{"token", printable(frame_.token_bytes(id))}, {"logprob", std::max(logprob, -9999.0)}};
  }
  json logprobs_of(const Event& event) const {
    json token = token_json(event.token, event.log_probability);
    if (event.top.empty()) return token;
    token["top_logprobs"] = json::array();
    for (const TokenLogprob& top : event.top)
      token["top_logprobs"].push_back(token_json(top.id, top.logprob));
    return token;
  }

  const bool chat_, stream_, logprobs_;
  const AnswerFrame frame_;
  std::string text_;
  json all_logprobs_ = json::array();
  FinishReason finish_ = FinishReason::none;
  Statistics statistics_;
};

}  // namespace

std::unique_ptr<AnswerWriter> make_ollama_writer(const Call& call, AnswerFrame frame) {
  return std::make_unique<OllamaWriter>(call, std::move(frame));
}

std::string write_ollama_loaded(Endpoint endpoint, const AnswerFrame& frame, const char* reason) {
  json object = frame_json(frame);
  put_text(object, endpoint == Endpoint::ollama_chat, "");
  object["done"] = true;
  object["done_reason"] = reason;
  return line(object);
}

std::string write_ollama_embeddings(const std::vector<std::vector<float>>& vectors,
                                    const std::string& model, int64_t prompt_tokens,
                                    int64_t total_ns, int64_t load_ns) {
  return line({{"model", model},
               {"embeddings", vectors},
               {"total_duration", total_ns},
               {"load_duration", load_ns},
               {"prompt_eval_count", prompt_tokens}});
}

std::string rfc3339(int64_t ns_since_1970) {
  const std::time_t seconds = ns_since_1970 / 1'000'000'000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", utc.tm_year + 1900,
                     utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                     ns_since_1970 % 1'000'000'000);
}

}  // namespace weir
