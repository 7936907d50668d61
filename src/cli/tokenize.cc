// weir tokenize: the ids of a text, with the piece of each.
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "text/tokenizer.h"

namespace weir::cli {
namespace {

struct Options {
  std::string model, text, file;
  bool json = false, special = false, plain = false, decode = false;
};

std::string input_text(const Options& o) {
  if (!o.file.empty()) return read_file(o.file, uint64_t{256} << 20);
  if (!o.text.empty()) return o.text;
  return {std::istreambuf_iterator<char>(std::cin), {}};
}

/// Ids as numbers between anything else; of JSON, those of the first array.
std::vector<int32_t> parse_ids(std::string text) {
  if (const size_t open = text.find('['); open != std::string::npos)
    text = text.substr(open, text.find(']', open) - open);
  std::vector<int32_t> ids;
  std::string digits;
  for (const char c : text + " ") {
    if (c >= '0' && c <= '9') {
      digits += c;
      if (digits.size() > 9) fail(Code::invalid_argument, "'{}…' is no token id", digits);
    } else if (!digits.empty()) {
      ids.push_back(std::stoi(digits));
      digits.clear();
    } else if (c == '-') {
      fail(Code::invalid_argument, "token ids are whole numbers from 0");
    }
  }
  return ids;
}

int run(const Options& o) {
  const auto model = open_model(o.model);
  const auto& tokenizer = model->tokenizer();
  if (tokenizer == nullptr) fail(Code::unsupported, "this model has no tokenizer");
  if (o.decode) {
    std::fputs(
        (tokenizer->decode(parse_ids(input_text(o)), {.skip_special = false}) + "\n").c_str(),
        stdout);
    return kSuccess;
  }
  const auto ids =
      tokenizer->encode(input_text(o), {.add_special = !o.plain, .parse_special = o.special});
  if (o.json) {
    std::fputs((nlohmann::json({{"tokens", ids}, {"count", ids.size()}}).dump() + "\n").c_str(),
               stdout);
    return kSuccess;
  }
  for (const int32_t id : ids) {
    const std::string piece = nlohmann::json(tokenizer->piece(id))
                                  .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    std::fputs(fmt::format("{:>7}  {}\n", id, piece).c_str(), stdout);
  }
  return kSuccess;
}

}  // namespace

void add_tokenize(Commands& commands) {
  auto o = std::make_shared<Options>();
  CLI::App* c = commands.add("tokenize", "Show the token ids of a text (or the text of ids)",
                             [o] { return run(*o); });
  c->add_option("MODEL", o->model, "GGUF file or Hugging Face folder [the embedded model]");
  c->add_option("-p,--prompt", o->text, "The text; else standard input");
  c->add_option("-f,--file", o->file, "Read the text from a file");
  c->add_flag("--special", o->special, "Text such as <|im_end|> becomes the control token");
  c->add_flag("--no-bos", o->plain, "Add no BOS or EOS");
  c->add_flag("--decode", o->decode, "The input is ids: print their text");
  c->add_flag("--json", o->json, "Print {\"tokens\": [...], \"count\": n}");
}

}  // namespace weir::cli
