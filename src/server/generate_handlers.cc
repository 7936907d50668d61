// The routes that generate text, and those that embed it.
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "decoding/random.h"
#include "server/generation.h"
#include "server/handlers.h"
#include "server/json_body.h"
#include "server/ollama_answer.h"
#include "server/ollama_request.h"
#include "server/openai_answer.h"
#include "server/openai_request.h"
#include "server/plain_dialect.h"

namespace weir::handlers {
namespace {

using std::chrono::steady_clock;

int64_t unix_ns() {
  using namespace std::chrono;
  return duration_cast<nanoseconds>(system_clock::now().time_since_epoch()).count();
}

std::string random_id() { return fmt::format("{:016x}", fresh_seed()); }

/// What the client is told when a model cannot be loaded; the log has the whole story.
ModelLease acquire(const std::string& name, Service& service) {
  if (!service.registry.knows(name) || service.draining) return service.registry.acquire(name);
  try {
    return service.registry.acquire(name);
  } catch (const Error& error) {
    if (error.code() == Code::unavailable) throw;
    service.log.write("error", "model_load_failed", {{"model", name}, {"error", error.what()}});
    if (error.code() == Code::limit_exceeded)
      throw ApiError(503, "model_load_error", error.what(), "model");
    throw ApiError(500, "model_load_error",
                   fmt::format("the model could not be loaded ({}); the server's log says why",
                               code_name(error.code())),
                   "model");
  }
}

AnswerFrame frame_of(const Call& call, const ModelLease& lease) {
  AnswerFrame frame;
  frame.id = random_id();
  frame.model = call.options.model.empty() ? lease.name() : call.options.model;
  frame.created_ns = unix_ns();
  frame.token_bytes = [engine = &lease.engine()](int32_t id) { return engine->token_bytes(id); };
  if (call.options.echo)
    for (const Request& request : call.requests)
      frame.echo.push_back(request.tokens.empty() ? request.prompt
                                                  : lease.engine().detokenize(request.tokens));
  return frame;
}

void set_owner(Call& call, const HttpRequest& request, const Service& service) {
  for (Request& r : call.requests) {
    r.tenant = request.tenant;
    r.cancel = request.cancelled;
    const double most = service.limits.request_seconds;
    if (r.timeout_seconds <= 0 || r.timeout_seconds > most) r.timeout_seconds = most;
  }
}

/// A model without a chat template continues text; Ollama's generate then does the same.
void fall_back_to_text(Call& call, const Engine& engine) {
  if (engine.capabilities().chat_template) return;
  for (Request& r : call.requests) {
    for (const ChatMessage& message : r.messages) {
      if (!r.prompt.empty()) r.prompt += "\n\n";
      r.prompt += message.content;
    }
    r.messages.clear();
  }
}

Reply loaded_reply(const Call& call, ModelLease& lease) {
  if (call.keep_alive) lease.keep_alive(*call.keep_alive);
  const bool unload = call.keep_alive && *call.keep_alive == 0;
  Reply reply;
  reply.body =
      write_ollama_loaded(call.endpoint, frame_of(call, lease), unload ? "unload" : "load");
  return reply;
}

Reply answer(Call call, HttpRequest& request, Service& service) {
  const auto arrived = steady_clock::now();
  ModelLease lease = acquire(call.options.model, service);
  if (call.only_load) return loaded_reply(call, lease);
  if (call.endpoint == Endpoint::ollama_generate) fall_back_to_text(call, lease.engine());
  set_owner(call, request, service);
  AnswerFrame frame = frame_of(call, lease);
  Reply reply;
  reply.generation =
      std::make_unique<Generation>(std::move(lease), std::move(call), std::move(frame),
                                   request.cancelled, service.metrics, arrived);
  return reply;
}

struct Embedded {
  std::vector<std::vector<float>> vectors;
  int64_t tokens = 0;
  std::string model;
  double seconds = 0;
};

Embedded embed(Call call, HttpRequest& request, Service& service) {
  const auto start = steady_clock::now();
  ModelLease lease = acquire(call.options.model, service);
  if (call.keep_alive) lease.keep_alive(*call.keep_alive);
  set_owner(call, request, service);
  const Capabilities& can = lease.engine().capabilities();
  if (call.options.dimensions != 0 && call.options.dimensions != can.embedding_width)
    throw bad_parameter("dimensions", fmt::format("parameter 'dimensions' must be 0 or {}, the "
                                                  "model's width, but got {}",
                                                  can.embedding_width, call.options.dimensions));
  Embedded result;
  result.model = call.options.model.empty() ? lease.name() : call.options.model;
  for (Request& r : call.requests) {  // all are checked before the first is computed
    r.tokens = lease.engine().tokenize(r);
    result.tokens += static_cast<int64_t>(r.tokens.size());
  }
  for (const Request& r : call.requests) {
    if (*request.cancelled) fail(Code::cancelled, "the client has gone");
    result.vectors.push_back(lease.engine().embed(r));
  }
  result.seconds = std::chrono::duration<double>(steady_clock::now() - start).count();
  return result;
}

}  // namespace

Reply openai_chat(HttpRequest& request, Service& service) {
  return answer(read_openai_chat(parse_json_object(request.body), service.defaults), request,
                service);
}

Reply openai_completions(HttpRequest& request, Service& service) {
  return answer(read_openai_completion(parse_json_object(request.body), service.defaults), request,
                service);
}

Reply ollama_generate(HttpRequest& request, Service& service) {
  return answer(read_ollama_generate(parse_json_object(request.body), service.defaults), request,
                service);
}

Reply ollama_chat(HttpRequest& request, Service& service) {
  return answer(read_ollama_chat(parse_json_object(request.body), service.defaults), request,
                service);
}

Reply generate(HttpRequest& request, Service& service) {
  return answer(read_plain_generate(parse_json_object(request.body), service.defaults), request,
                service);
}

Reply openai_embeddings(HttpRequest& request, Service& service) {
  Call call = read_openai_embeddings(parse_json_object(request.body));
  const bool base64 = call.options.encoding_format == "base64";
  const Embedded result = embed(std::move(call), request, service);
  Reply reply;
  reply.body = write_openai_embeddings(result.vectors, result.model, result.tokens, base64);
  return reply;
}

Reply ollama_embed(HttpRequest& request, Service& service) {
  const Embedded result =
      embed(read_ollama_embed(parse_json_object(request.body)), request, service);
  Reply reply;
  reply.body = write_ollama_embeddings(result.vectors, result.model, result.tokens,
                                       static_cast<int64_t>(result.seconds * 1e9), 0);
  return reply;
}

Reply tokenize(HttpRequest& request, Service& service) {
  const TokenizeCall call = read_tokenize(parse_json_object(request.body));
  const ModelLease lease = acquire(call.model, service);
  nlohmann::ordered_json tokens = nlohmann::ordered_json::array();
  const bool nothing = call.request.prompt.empty() && !call.request.add_special;
  for (const int32_t id :
       nothing ? std::vector<int32_t>() : lease.engine().tokenize(call.request)) {
    if (call.with_pieces)
      tokens.push_back({{"id", id}, {"piece", lease.engine().token_bytes(id)}});
    else
      tokens.push_back(id);
  }
  Reply reply;
  reply.body = nlohmann::ordered_json{{"tokens", tokens}}.dump(
      -1, ' ', false, nlohmann::json::error_handler_t::replace);
  return reply;
}

Reply detokenize(HttpRequest& request, Service& service) {
  const DetokenizeCall call = read_detokenize(parse_json_object(request.body));
  const ModelLease lease = acquire(call.model, service);
  Reply reply;
  reply.body = nlohmann::ordered_json{{"content", lease.engine().detokenize(call.tokens)}}.dump();
  return reply;
}

}  // namespace weir::handlers
