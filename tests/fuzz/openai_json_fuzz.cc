// Any bytes as the body of every endpoint. The first byte chooses which. The only ways out are a
// Call that is in range, or an error with a 4xx status; a body that was understood is written again
// by the client's side and must then mean the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "server/api_error.h"
#include "server/json_body.h"
#include "server/ollama_request.h"
#include "server/openai_request.h"
#include "server/plain_dialect.h"
#include "text/utf8.h"

namespace {

using nlohmann::json;

void require(bool condition) {
  if (!condition) std::abort();
}

weir::Call read(unsigned which, json body) {
  const weir::SamplingParams defaults;
  switch (which % 8) {
    case 0:
      return weir::read_openai_chat(std::move(body), defaults);
    case 1:
      return weir::read_openai_completion(std::move(body), defaults);
    case 2:
      return weir::read_openai_embeddings(std::move(body));
    case 3:
      return weir::read_ollama_generate(std::move(body), defaults);
    case 4:
      return weir::read_ollama_chat(std::move(body), defaults);
    case 5:
      return weir::read_ollama_embed(std::move(body));
    case 6:
      weir::read_tokenize(body);
      weir::read_detokenize(std::move(body));
      return {};
    default:
      return weir::read_plain_generate(std::move(body), defaults);
  }
}

void check(const weir::Call& call) {
  require(call.options.n >= 1 && call.options.n <= 16);
  for (const weir::Request& request : call.requests) {
    weir::sampling_options().check(request.sampling);
    require(weir::is_valid_utf8(request.prompt));
    for (const int32_t id : request.tokens) require(id >= 0);
    if (!request.tools.empty()) require(json::parse(request.tools).is_array());
    for (const weir::ChatMessage& message : request.messages) require(!message.role.empty());
  }
}

void round_trip(const weir::Call& call) {
  if (call.requests.empty() || call.endpoint != weir::Endpoint::openai_chat) return;
  const weir::Request& request = call.requests[0];
  const weir::Call again = weir::read_openai_chat(
      weir::parse_json_object(weir::write_openai_request(request, "m", false)), {});
  const weir::Request& copy = again.requests.at(0);
  require(copy.messages.size() == request.messages.size());
  for (size_t i = 0; i < copy.messages.size(); ++i)
    require(copy.messages[i].content == request.messages[i].content &&
            copy.messages[i].role == request.messages[i].role);
  require(copy.sampling.stop == request.sampling.stop);
  require(copy.sampling.seed == request.sampling.seed);
  require(copy.sampling.max_tokens == request.sampling.max_tokens);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data + 1), size - 1);
  try {
    const weir::Call call = read(data[0], weir::parse_json_object(body));
    check(call);
    round_trip(call);
  } catch (...) {
    const weir::ApiError error = weir::api_error_of(std::current_exception());
    require(error.status >= 400 && error.status < 500);
    require(!weir::error_body(error, weir::ErrorShape::openai).empty());
  }
  return 0;
}
