#include "cli/command.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "lab/embedded_model.h"

namespace weir::cli {

CLI::App* Commands::add(const std::string& name, const std::string& help,
                        std::function<int()> run) {
  CLI::App* command = app.add_subcommand(name, help);
  command->callback([this, run = std::move(run)] { chosen = run; });
  return command;
}

std::shared_ptr<const Model> open_model(const std::string& path) {
  return path.empty() ? load_embedded_model() : Model::load(path);
}

std::string human_bytes(double bytes) {
  const char* const units[] = {"B", "kB", "MB", "GB", "TB"};
  size_t unit = 0;
  while (bytes >= 1000 && unit + 1 < std::size(units)) {
    bytes /= 1000;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", bytes, unit == 0 ? 0 : 2, units[unit]);
}

ProgressBar::ProgressBar() : terminal_(isatty(STDERR_FILENO) != 0) {}

ProgressBar::~ProgressBar() {
  if (terminal_ && last_percent_ >= 0) std::fputs("\r\x1b[K", stderr);
}

void ProgressBar::show(double fraction, const std::string& what) {
  const int percent = static_cast<int>(std::lround(100 * std::clamp(fraction, 0.0, 1.0)));
  if (!terminal_ || (percent == last_percent_ && what == last_what_)) return;
  last_percent_ = percent;
  last_what_ = what;
  std::string bar;
  for (int i = 0; i < 30; ++i) bar += i < percent * 30 / 100 ? "█" : "░";
  std::fputs(fmt::format("\r\x1b[K{} {:3d} % {}", bar, percent, what).c_str(), stderr);
  std::fflush(stderr);
}

}  // namespace weir::cli
