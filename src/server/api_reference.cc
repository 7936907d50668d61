// docs/api.md from the tables of routes and parameters.
#include <string>

#include "base/error.h"
#include "server/parameters.h"
#include "server/routes.h"

namespace weir {
namespace {

constexpr const char* kIntro =
    "# The HTTP interface\n\n"
    "Made by `weir serve --print-api-reference` from the tables that the server works with; do not "
    "edit.\n\n"
    "Bodies are JSON objects. An error is `{\"error\": {\"message\", \"type\", \"param\", "
    "\"code\"}}`, below `/api/` `{\"error\": \"message\"}`; in a stream that has begun it is an "
    "`error` event, or the last line. A member that is `null` counts as absent, one that is not "
    "listed here is refused, and no prompt is ever cut: one too long gets status 400, type "
    "`exceed_context_size_error`, with `n_prompt_tokens` and `n_ctx`. Status 429 and 503 come with "
    "`Retry-After`.\n\n"
    "When keys are set, every route but `/health` needs one, as `Authorization: Bearer KEY` or "
    "`X-Api-Key: KEY`.\n\n## Routes\n\n"
    "| method | path | key | what it does |\n|---|---|---|---|\n";

std::string cell(std::string text) {
  std::string out;
  for (const char c : text) out += c == '|' ? std::string("\\|") : std::string(1, c);
  return out;
}

std::string row_of(const Parameter& row) {
  const OptionInfo* info = option_of(row);
  std::string name = row.object.empty() ? row.name : row.object + "." + row.name;
  std::string type = info != nullptr ? describe_range(*info) : row.type;
  std::string fallback = info != nullptr ? info->default_text : "";
  if (!fallback.empty()) fallback = "`" + fallback + "`";
  return fmt::format("| `{}` | {} | {} | {} |\n", name, cell(type), cell(fallback),
                     cell(info != nullptr ? info->help : row.help));
}

void add_endpoint(std::string& page, Endpoint endpoint) {
  page += fmt::format("\n## {}\n\n| parameter | value | default | meaning |\n|---|---|---|---|\n",
                      endpoint_name(endpoint));
  std::string accepted;
  for (const Parameter& row : parameters()) {
    if (!row.known_to(endpoint)) continue;
    if (row.role != Parameter::Role::accepted) {
      page += row_of(row);
      continue;
    }
    accepted += fmt::format("{}`{}{}{}`", accepted.empty() ? "" : ", ", row.object,
                            row.object.empty() ? "" : ".", row.name);
  }
  if (endpoint == Endpoint::openai_completion) page += "\nHere `max_tokens` is 16 unless said.\n";
  if (!accepted.empty()) page += fmt::format("\nAccepted without effect: {}.\n", accepted);
}

}  // namespace

std::string api_reference() {
  std::string page = kIntro;
  for (const Route& route : routes())
    page += fmt::format("| {} | `{}` | {} | {} |\n", route.method, route.path,
                        route.access == Access::open ? "no" : "yes", route.help);
  for (const Endpoint endpoint : all_endpoints()) add_endpoint(page, endpoint);
  return page;
}

}  // namespace weir
