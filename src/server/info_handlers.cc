// The routes that tell what is there: models, health, figures.
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "server/handlers.h"
#include "server/json_body.h"
#include "server/ollama_answer.h"
#include "server/parameters.h"

namespace weir::handlers {
namespace {

using json = nlohmann::ordered_json;
namespace fs = std::filesystem;

Reply json_reply(const json& body) {
  Reply reply;
  reply.body = body.dump(-1, ' ', false, json::error_handler_t::replace);
  return reply;
}

struct FileFacts {
  int64_t bytes = 0, modified_ns = 0;
};

FileFacts facts_of(const ModelStatus& status) {
  FileFacts facts;
  facts.bytes = status.plan.weights;
  std::error_code error;
  if (status.path.empty() || !fs::is_regular_file(status.path, error)) return facts;
  facts.bytes = static_cast<int64_t>(fs::file_size(status.path, error));
  const auto time = std::chrono::file_clock::to_sys(fs::last_write_time(status.path, error));
  facts.modified_ns =
      std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
  return facts;
}

json ollama_model(const ModelStatus& status) {
  const FileFacts facts = facts_of(status);
  return {{"name", status.name},
          {"model", status.name},
          {"modified_at", rfc3339(facts.modified_ns)},
          {"size", facts.bytes},
          {"digest", ""},
          {"details",
           {{"parent_model", ""},
            {"format", "gguf"},
            {"family", ""},
            {"families", json::array()},
            {"parameter_size", ""},
            {"quantization_level", ""}}}};
}

}  // namespace

Reply openai_models(HttpRequest&, Service& service) {
  json data = json::array();
  for (const ModelStatus& status : service.registry.list())
    data.push_back({{"id", status.name},
                    {"object", "model"},
                    {"created", facts_of(status).modified_ns / 1'000'000'000},
                    {"owned_by", "weir"}});
  return json_reply({{"object", "list"}, {"data", std::move(data)}});
}

Reply ollama_tags(HttpRequest&, Service& service) {
  json models = json::array();
  for (const ModelStatus& status : service.registry.list()) models.push_back(ollama_model(status));
  return json_reply({{"models", std::move(models)}});
}

Reply ollama_ps(HttpRequest&, Service& service) {
  using namespace std::chrono;
  const int64_t now = duration_cast<nanoseconds>(system_clock::now().time_since_epoch()).count();
  constexpr int64_t kFarFuture = 9'214'646'400'000'000'000;  // 2262: "not before it is asked to"
  json models = json::array();
  for (const ModelStatus& status : service.registry.list()) {
    if (!status.loaded) continue;
    json model = ollama_model(status);
    model["size"] = status.plan.total();
    model["size_vram"] = 0;
    model["context_length"] = status.capabilities->context_length;
    model["expires_at"] = rfc3339(
        status.expires_in ? now + static_cast<int64_t>(*status.expires_in * 1e9) : kFarFuture);
    models.push_back(std::move(model));
  }
  return json_reply({{"models", std::move(models)}});
}

Reply ollama_show(HttpRequest& request, Service& service) {
  const nlohmann::json body = parse_json_object(request.body);
  RequestOptions options;
  SamplingParams none;
  read_parameters(body, Endpoint::ollama_show, options, none);
  if (const auto name = body.find("name"); options.model.empty() && name != body.end()) {
    if (!name->is_string()) throw bad_parameter("name", "parameter 'name' must be a text");
    options.model = name->get<std::string>();
  }
  if (!service.registry.knows(options.model))
    throw ApiError(404, "not_found_error", fmt::format("model '{}' not found", options.model));
  const ModelLease lease = service.registry.acquire(options.model);
  const Capabilities& can = lease.engine().capabilities();
  json abilities = json::array({"completion"});
  if (can.embeddings) abilities.push_back("embedding");
  const ModelStatus status = *service.registry.status(options.model);
  json model = ollama_model(status);
  return json_reply({{"license", ""},
                     {"modelfile", ""},
                     {"parameters", ""},
                     {"template", ""},
                     {"modified_at", model["modified_at"]},
                     {"details", model["details"]},
                     {"model_info",
                      {{"general.name", can.model},
                       {"general.context_length", can.context_length},
                       {"general.vocabulary_size", can.vocabulary},
                       {"general.embedding_length", can.embedding_width}}},
                     {"capabilities", std::move(abilities)}});
}

Reply ollama_version(HttpRequest&, Service& service) {
  return json_reply({{"version", service.version}});
}

Reply health(HttpRequest&, Service& service) {
  Reply reply = json_reply({{"status", service.draining ? "shutting down" : "ok"}});
  if (service.draining) {
    reply.status = 503;
    reply.body = error_body(api_error_of(Code::unavailable, "the server is shutting down"),
                            ErrorShape::openai);
    reply.headers.emplace_back("Retry-After", "1");
  }
  return reply;
}

Reply ready(HttpRequest& request, Service& service) {
  if (service.draining) return health(request, service);
  const auto status = service.registry.status("");
  if (status && status->loaded) return json_reply({{"status", "ready"}});
  throw api_error_of(Code::unavailable, "no model is loaded yet");
}

Reply metrics(HttpRequest&, Service& service) {
  Reply reply;
  reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
  reply.body = service.metrics.text(service.registry);
  return reply;
}

}  // namespace weir::handlers
