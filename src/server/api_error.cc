#include "server/api_error.h"

#include <new>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "engine/prompt_too_long.h"

namespace weir {
namespace {

constexpr const char* kInvalid = "invalid_request_error";
constexpr int kRetrySeconds = 1;

ApiError unavailable(const std::string& message) {
  ApiError error(503, "unavailable_error", message);
  error.retry_after = kRetrySeconds;
  return error;
}

}  // namespace

ApiError bad_parameter(const std::string& name, const std::string& message) {
  ApiError error(400, kInvalid, message, name);
  error.code = "invalid_parameter";
  return error;
}

ApiError api_error_of(Code code, const std::string& message) {
  switch (code) {
    case Code::invalid_argument:
    case Code::bad_format:
    case Code::unsupported:
    case Code::limit_exceeded: {
      ApiError error(400, kInvalid, message);
      error.code = code_name(code);
      return error;
    }
    case Code::not_found:
      return {404, "not_found_error", message};
    case Code::unavailable:
      return unavailable(message);
    case Code::cancelled:
      return {499, "cancelled", message};
    case Code::numeric:
    case Code::io:
    case Code::internal:
      break;
  }
  ApiError error(500, "server_error", message);
  error.code = code_name(code);
  return error;
}

ApiError api_error_of(std::exception_ptr exception) {
  try {
    std::rethrow_exception(std::move(exception));
  } catch (const ApiError& error) {
    return error;
  } catch (const PromptTooLong& error) {
    ApiError result(400, "exceed_context_size_error", error.what());
    result.code = "context_length_exceeded";
    result.numbers = {{"n_prompt_tokens", error.tokens()}, {"n_ctx", error.context()}};
    return result;
  } catch (const Error& error) {
    return api_error_of(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    return unavailable("out of memory; try again later");
  } catch (const std::exception& error) {
    return {500, "server_error", error.what()};
  } catch (...) {
    return {500, "server_error", "unknown failure"};
  }
}

ApiError api_error_of(const Event& event) {
  if (event.finish == FinishReason::timeout)
    return {504, "timeout_error",
            event.detail.empty() ? "the request's time is over" : event.detail};
  return api_error_of(event.code, event.detail.empty() ? "the request failed" : event.detail);
}

std::string error_body(const ApiError& error, ErrorShape shape) {
  nlohmann::ordered_json json;
  if (shape == ErrorShape::ollama) {
    json["error"] = error.what();
  } else {
    const auto text_or_null = [](const std::string& text) {
      return text.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(text);
    };
    json["error"] = {{"message", error.what()},
                     {"type", error.type},
                     {"param", text_or_null(error.param)},
                     {"code", text_or_null(error.code)}};
    for (const auto& [name, number] : error.numbers) json["error"][name] = number;
  }
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace weir
