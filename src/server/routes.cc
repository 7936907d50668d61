#include "server/routes.h"

#include "server/generation.h"
#include "server/handlers.h"

namespace weir {
namespace {

using enum Access;
using enum Place;
namespace h = handlers;
constexpr ErrorShape kOpenAi = ErrorShape::openai;
constexpr ErrorShape kOllama = ErrorShape::ollama;

constexpr Route kRoutes[] = {
    {"GET", "/health", kOpenAi, open, connection, h::health,
     "200 while the server takes requests, 503 while it shuts down"},
    {"GET", "/ready", kOpenAi, key, connection, h::ready,
     "200 when a model is loaded and the server takes requests"},
    {"GET", "/metrics", kOpenAi, key, worker, h::metrics, "Figures for Prometheus"},
    {"GET", "/v1/models", kOpenAi, key, worker, h::openai_models, "The models by name"},
    {"POST", "/v1/chat/completions", kOpenAi, key, queue, h::openai_chat, "Answer a conversation"},
    {"POST", "/v1/completions", kOpenAi, key, queue, h::openai_completions, "Continue a text"},
    {"POST", "/v1/embeddings", kOpenAi, key, queue, h::openai_embeddings,
     "Vectors for texts: the mean of the states before the output head, of length 1"},
    {"POST", "/api/generate", kOllama, key, queue, h::ollama_generate, "Answer a prompt"},
    {"POST", "/api/chat", kOllama, key, queue, h::ollama_chat, "Answer a conversation"},
    {"POST", "/api/embed", kOllama, key, queue, h::ollama_embed, "Vectors for texts"},
    {"GET", "/api/tags", kOllama, key, worker, h::ollama_tags, "The models by name"},
    {"POST", "/api/show", kOllama, key, worker, h::ollama_show, "What is known of a model"},
    {"GET", "/api/ps", kOllama, key, worker, h::ollama_ps, "The models in memory"},
    {"GET", "/api/version", kOllama, key, connection, h::ollama_version, "The server's version"},
    {"POST", "/generate", kOpenAi, key, queue, h::generate, "Continue a text, plainly"},
    {"POST", "/tokenize", kOpenAi, key, worker, h::tokenize, "Token ids of a text"},
    {"POST", "/detokenize", kOpenAi, key, worker, h::detokenize, "The text of token ids"},
};

}  // namespace

std::span<const Route> routes() { return kRoutes; }

const Route* find_route(std::string_view method, std::string_view path, bool& path_known) {
  path_known = false;
  for (const Route& route : kRoutes) {
    if (route.path != path) continue;
    path_known = true;
    if (route.method == method) return &route;
  }
  return nullptr;
}

ErrorShape error_shape(std::string_view path) {
  return path.starts_with("/api/") ? kOllama : kOpenAi;
}

Reply error_reply(const ApiError& error, ErrorShape shape) {
  Reply reply;
  reply.status = error.status;
  reply.body = error_body(error, shape) + "\n";
  if (error.retry_after)
    reply.headers.emplace_back("Retry-After", std::to_string(*error.retry_after));
  if (error.status == 401) reply.headers.emplace_back("WWW-Authenticate", "Bearer");
  return reply;
}

}  // namespace weir
