#include "server/plain_dialect.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "server/messages.h"
#include "server/request_fields.h"

namespace weir {
namespace {

using json = nlohmann::ordered_json;

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

class PlainWriter : public AnswerWriter {
 public:
  PlainWriter(const Call& call, AnswerFrame frame)
      : stream_(call.options.stream),
        logprobs_(!call.requests.empty() && call.requests[0].sampling.logprobs >= 0),
        frame_(std::move(frame)) {}

  std::string_view content_type() const override {
    return stream_ ? "text/event-stream" : "application/json";
  }

  void begin(std::string& out) override {
    const std::string echo = frame_.echo.empty() ? "" : frame_.echo[0];
    text_ = echo;
    if (stream_ && !echo.empty()) out += "data: " + dump({{"text", echo}}) + "\n\n";
  }

  void event(size_t, const Event& event, std::string& out) override {
    if (!stream_) text_ += event.text;
    if (event.token >= 0) tokens_.push_back(event.token);
    json piece = {{"text", event.text}};
    if (event.token >= 0) piece["token"] = event.token;
    if (logprobs_ && event.token >= 0) {
      json token = {{"token", event.token}, {"logprob", event.log_probability}};
      for (const TokenLogprob& top : event.top)
        token["top"].push_back({{"token", top.id}, {"logprob", top.logprob}});
      if (stream_)
        piece["logprob"] = token;
      else
        probabilities_.push_back(std::move(token));
    }
    if (event.finish != FinishReason::none) last_ = event;
    if (stream_ && (event.token >= 0 || !event.text.empty()))
      out += "data: " + dump(piece) + "\n\n";
  }

  void end(std::string& out) override {
    const Statistics s = last_.statistics.value_or(Statistics());
    json body = {{"model", frame_.model},
                 {"finish_reason", finish_reason_name(last_.finish)},
                 {"prompt_tokens", s.prompt_tokens},
                 {"cached_tokens", s.cached_tokens},
                 {"generated_tokens", s.generated_tokens},
                 {"seed", s.seed}};
    if (!last_.detail.empty()) body["detail"] = last_.detail;
    if (stream_) {
      out += "data: " + dump(body) + "\n\ndata: [DONE]\n\n";
      return;
    }
    json whole = {{"text", text_}, {"tokens", tokens_}};
    if (logprobs_) whole["logprobs"] = probabilities_;
    whole.update(body);
    out += dump(whole);
  }

  void fail(const ApiError& error, std::string& out) override {
    out += "event: error\ndata: " + error_body(error, ErrorShape::openai) + "\n\n";
  }

 private:
  const bool stream_, logprobs_;
  const AnswerFrame frame_;
  std::string text_;
  std::vector<int32_t> tokens_;
  json probabilities_ = json::array();
  Event last_;
};

}  // namespace

Call read_plain_generate(nlohmann::json body, const SamplingParams& defaults) {
  Call call;
  call.endpoint = Endpoint::plain_generate;
  Request request;
  request.sampling = defaults;
  read_parameters(body, call.endpoint, call.options, request.sampling);
  apply_options(call.options, request);
  PromptInput input = std::move(read_prompts(body, "prompt", false).front());
  request.prompt = std::move(input.text);
  request.tokens = std::move(input.tokens);
  request.add_special = call.options.add_special;
  request.parse_special = call.options.parse_special;
  call.requests.push_back(std::move(request));
  return call;
}

TokenizeCall read_tokenize(nlohmann::json body) {
  RequestOptions options;
  SamplingParams none;
  read_parameters(body, Endpoint::plain_tokenize, options, none);
  TokenizeCall call;
  call.model = options.model;
  const auto content = body.find("content");
  if (content == body.end() || !content->is_string())
    throw bad_parameter("content", "parameter 'content' must be a text");
  call.request.prompt = content->get<std::string>();
  call.request.add_special = options.add_special;
  call.request.parse_special = options.parse_special;
  if (const auto pieces = body.find("with_pieces"); pieces != body.end() && !pieces->is_null()) {
    if (!pieces->is_boolean())
      throw bad_parameter("with_pieces", "parameter 'with_pieces' must be true or false");
    call.with_pieces = pieces->get<bool>();
  }
  return call;
}

DetokenizeCall read_detokenize(nlohmann::json body) {
  RequestOptions options;
  SamplingParams none;
  read_parameters(body, Endpoint::plain_detokenize, options, none);
  const auto tokens = body.find("tokens");
  if (tokens == body.end() || !tokens->is_array())
    throw bad_parameter("tokens", "parameter 'tokens' must be a list of token ids");
  if (tokens->empty()) return {options.model, {}};
  return {options.model, read_prompts(body, "tokens", false).front().tokens};
}

std::unique_ptr<AnswerWriter> make_plain_writer(const Call& call, AnswerFrame frame) {
  return std::make_unique<PlainWriter>(call, std::move(frame));
}

}  // namespace weir
