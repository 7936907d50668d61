// weir completion: a script that completes subcommands and flags in bash, zsh and fish.
#include <cstdio>

#include "base/error.h"
#include "cli/command.h"

namespace weir::cli {
namespace {

std::string words(const CLI::App& app) {
  std::string all;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) all += " --" + name;
  return all;
}

std::string bash_script(const CLI::App& app) {
  std::string names, cases;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names += " " + command->get_name();
    cases += fmt::format("    {}) words='{}';;\n", command->get_name(), words(*command));
  }
  return fmt::format(
      "_weir() {{\n"
      "  local word=${{COMP_WORDS[COMP_CWORD]}} words='{}'\n"
      "  if [ \"$COMP_CWORD\" -gt 1 ]; then case ${{COMP_WORDS[1]}} in\n"
      "{}"
      "  esac; fi\n"
      "  case $word in\n"
      "    -*) COMPREPLY=($(compgen -W \"$words\" -- \"$word\"));;\n"
      "    *) if [ \"$COMP_CWORD\" -eq 1 ]; then COMPREPLY=($(compgen -W \"$words\" -- "
      "\"$word\"))\n"
      "       else COMPREPLY=($(compgen -f -- \"$word\")); fi;;\n"
      "  esac\n"
      "}}\n"
      "complete -o filenames -F _weir weir\n",
      names, cases);
}

std::string fish_script(const CLI::App& app) {
  std::string text;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    text += fmt::format("complete -c weir -n __fish_use_subcommand -a {} -d '{}'\n",
                        command->get_name(), command->get_description());
    for (const CLI::Option* option : command->get_options())
      for (const std::string& name : option->get_lnames())
        text += fmt::format("complete -c weir -n '__fish_seen_subcommand_from {}' -l {}\n",
                            command->get_name(), name);
  }
  return text;
}

int run(const CLI::App& app, const std::string& shell) {
  std::string script;
  if (shell == "fish") {
    script = fish_script(app);
  } else {
    if (shell == "zsh") script = "autoload -U +X bashcompinit && bashcompinit\n";
    script += bash_script(app);
  }
  std::fputs(script.c_str(), stdout);
  return kSuccess;
}

}  // namespace

void add_completion(Commands& commands) {
  auto shell = std::make_shared<std::string>("bash");
  const CLI::App* app = &commands.app;
  CLI::App* c =
      commands.add("completion", "Print a completion script: source <(weir completion bash)",
                   [shell, app] { return run(*app, *shell); });
  c->add_option("SHELL", *shell, "bash, zsh or fish")
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
}

}  // namespace weir::cli
