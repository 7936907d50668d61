// What goes wrong in a request, as HTTP tells it: status, type, code, the parameter at fault. Owns
// the mapping from weir::Error and the JSON shape of each family of dialects; refuses to log.
#pragma once

#include <cstdint>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"

namespace weir {

class ApiError : public std::runtime_error {
 public:
  ApiError(int http_status, std::string error_type, const std::string& message,
           std::string parameter = "")
      : std::runtime_error(message),
        status(http_status),
        type(std::move(error_type)),
        param(std::move(parameter)) {}

  int status;
  std::string type;                // "invalid_request_error", "exceed_context_size_error", …
  std::string param;               // the parameter at fault, or empty
  std::string code;                // further name for programs, or empty
  std::optional<int> retry_after;  // seconds
  std::vector<std::pair<std::string, int64_t>> numbers;  // further members: n_ctx, …
};

/// 400 that names a parameter.
ApiError bad_parameter(const std::string& name, const std::string& message);

/// What an exception thrown while a request was handled means to the client. Never throws for
/// lack of knowledge: what is unknown becomes 500.
ApiError api_error_of(std::exception_ptr exception);
ApiError api_error_of(Code code, const std::string& message);

/// What the last event of a request means; it has FinishReason::error or timeout.
ApiError api_error_of(const Event& event);

enum class ErrorShape { openai, ollama };

/// {"error": {"message", "type", "param", "code", …}} or {"error": "message"}.
std::string error_body(const ApiError& error, ErrorShape shape);

}  // namespace weir
