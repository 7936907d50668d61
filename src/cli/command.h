// What the subcommands share: registering with CLI11, opening a model, progress bars. One file a
// subcommand; main.cc is the list.
#pragma once

#include <CLI/CLI.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "model/model.h"

namespace weir::cli {

/// Exit codes, also in `weir --help`.
inline constexpr int kSuccess = 0;
inline constexpr int kFailure = 1;  // it could not be done; one sentence on stderr says why
inline constexpr int kUsage = 2;    // the command line is wrong
inline constexpr int kInterrupted = 130;

/// Adds a subcommand whose work is `run`; main() calls it after parsing and returns its code.
struct Commands {
  CLI::App& app;
  std::function<int()> chosen;
  CLI::App* add(const std::string& name, const std::string& help, std::function<int()> run);
};

void add_run(Commands& commands);
void add_info(Commands& commands);
void add_tokenize(Commands& commands);
void add_bench(Commands& commands);
void add_doctor(Commands& commands);
void add_selftest(Commands& commands);
void add_synth(Commands& commands);
void add_policy(Commands& commands);
void add_serve(Commands& commands);
void add_load(Commands& commands);
void add_completion(Commands& commands);

/// The model at `path`, or the embedded one where it is empty.
std::shared_ptr<const Model> open_model(const std::string& path);

/// "1.2 GB"
std::string human_bytes(double bytes);

/// A line on stderr that redraws itself while long work runs; silent where stderr is no terminal.
class ProgressBar {
 public:
  ProgressBar();
  ~ProgressBar();
  void show(double fraction, const std::string& what);

 private:
  bool terminal_;
  int last_percent_ = -1;
  std::string last_what_;
};

}  // namespace weir::cli
