// Which dialect writes the answer to which call.
#include "server/call.h"
#include "server/ollama_answer.h"
#include "server/openai_answer.h"
#include "server/plain_dialect.h"

namespace weir {

std::unique_ptr<AnswerWriter> make_answer_writer(const Call& call, AnswerFrame frame) {
  switch (call.endpoint) {
    case Endpoint::openai_chat:
    case Endpoint::openai_completion:
      return make_openai_writer(call, std::move(frame));
    case Endpoint::ollama_generate:
    case Endpoint::ollama_chat:
      return make_ollama_writer(call, std::move(frame));
    case Endpoint::plain_generate:
      return make_plain_writer(call, std::move(frame));
    default:
      break;
  }
  weir::fail(Code::internal, "{} generates no text", endpoint_name(call.endpoint));
}

}  // namespace weir
