// The program `weir`: the list of its subcommands, and the one place where errors become exit
// codes.
#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/mapping_guard.h"
#include "base/options.h"
#include "cli/command.h"

namespace {

using weir::cli::Commands;

constexpr const char* kFooter =
    "Examples:\n"
    "  weir run                          chat with the embedded model\n"
    "  weir run MODEL.gguf -p 'Hello'    one answer on stdout\n"
    "  weir serve MODEL.gguf             the same over HTTP, for OpenAI and Ollama clients\n"
    "  weir info MODEL.gguf              what a file holds and needs\n"
    "  weir doctor                       what this machine can do\n"
    "\n"
    "MODEL is a GGUF file or a Hugging Face folder; without one, the embedded model is used.\n"
    "WEIR_ISA=scalar|avx2|avx512|neon forces the instruction set.\n"
    "Exit codes: 0 done, 1 failed (one sentence on stderr), 2 wrong command line, 130 interrupted.";

/// All flags of a subcommand, for the nearest-name hint.
std::vector<std::string> flags_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
  }
  return names;
}

std::string nearest_hint(const CLI::App& app, const std::string& word) {
  std::vector<std::string> known;
  if (word.starts_with("-")) {
    known = flags_of(app);
  } else {
    for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
      known.push_back(command->get_name());
  }
  const auto near = weir::nearest_name(word.substr(0, word.find('=')), known);
  return near ? " Did you mean '" + *near + "'?" : "";
}

int usage_error(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().back();
  std::string text = error.what();
  const bool no_command = at == &app && argc > 1 && argv[1][0] != '-';
  if (no_command) {
    text = std::string("unknown subcommand '") + argv[1] + "'." + nearest_hint(app, argv[1]);
  } else if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    std::string word;
    for (int i = 1; i < argc && word.empty(); ++i)
      if (text.find(argv[i]) != std::string::npos &&
          (argv[i][0] == '-' || at == &app || std::string(argv[i]) != at->get_name()))
        word = argv[i];
    text = "unknown " + std::string(word.starts_with("-") ? "flag" : "argument") + " '" + word +
           "'." + nearest_hint(*at, word);
  }
  std::fprintf(stderr, "weir: %s (see: weir %s--help)\n", text.c_str(),
               at == &app ? "" : (at->get_name() + " ").c_str());
  return weir::cli::kUsage;
}

int run(int argc, char** argv) {
  CLI::App app("Weir runs, measures and prepares language models on the hardware you have.",
               "weir");
  app.set_version_flag("--version", std::string(WEIR_VERSION));
  app.require_subcommand(1);
  app.footer(kFooter);
  Commands commands{app, {}};
  weir::cli::add_run(commands);
  weir::cli::add_serve(commands);
  weir::cli::add_load(commands);
  weir::cli::add_info(commands);
  weir::cli::add_tokenize(commands);
  weir::cli::add_bench(commands);
  weir::cli::add_doctor(commands);
  weir::cli::add_selftest(commands);
  weir::cli::add_synth(commands);
  weir::cli::add_policy(commands);
  weir::cli::add_completion(commands);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    if (argc == 1) {
      std::fputs(app.help().c_str(), stderr);
      return weir::cli::kUsage;
    }
    return usage_error(app, error, argc, argv);
  }
  return commands.chosen();
}

}  // namespace

int main(int argc, char** argv) {
  weir::install_mapping_guard();
  try {
    return run(argc, argv);
  } catch (const weir::Error& error) {
    std::fprintf(stderr, "weir: %s\n", error.what());
    return error.code() == weir::Code::invalid_argument ? weir::cli::kUsage : weir::cli::kFailure;
  } catch (const std::bad_alloc&) {
    std::fputs("weir: out of memory\n", stderr);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "weir: %s\n", error.what());
  }
  return weir::cli::kFailure;
}
