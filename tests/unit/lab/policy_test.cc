// Policy files: what is read, and that every mistake is refused with its line and a hint.
#include "lab/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "lab/embedded_model.h"
#include "lab/yaml_tree.h"
#include "support/clock.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"

namespace weir::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string refusal(std::string_view yaml) {
  try {
    parse_policy(yaml, "p.yaml");
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Policy, ReadsEverySection) {
  const Policy p = parse_policy(R"(
engine: {name: native}
model:
  path: some/model.gguf
  name: 7
generation:
  temp: 0          # an alias of temperature
  top-k: 3
  seed: 18446744073709551615
  stop: ["a", 'b', c, 12]
  stop_ids: [1, 2]
  logit_bias: {5: -.inf, 6: 1.5}
  ignore_eos: true
runtime:
  threads: 2
  context: 1024
  kv_type: f32
  memory: 1.5GiB
  batch: 8
  cache_folder: /var/cache
  kv_tokens: 2048
  swap_size: 1MiB
  cache_size: 4096
audit:
  version: 1.0
  size: 123
  sha256: 00000000000000000000000000000000000000000000000000000000000000ff
metadata:
  anyone: "at all"
  empty:
)",
                                "p.yaml");
  EXPECT_EQ(p.model.path, "some/model.gguf");
  EXPECT_EQ(p.model.name, "7");
  EXPECT_EQ(p.generation.temperature, 0.0f);
  EXPECT_EQ(p.generation.top_k, 3);
  EXPECT_EQ(p.generation.top_p, SamplingParams().top_p);
  EXPECT_EQ(p.generation.seed, 18446744073709551615u);
  EXPECT_THAT(p.generation.stop, testing::ElementsAre("a", "b", "c", "12"));
  EXPECT_THAT(p.generation.stop_ids, testing::ElementsAre(1, 2));
  EXPECT_EQ(p.generation.logit_bias.at(5), -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(p.generation.ignore_eos);
  EXPECT_EQ(p.runtime.memory_bytes(), uint64_t{3} << 29);
  EXPECT_EQ(p.runtime.cache_bytes(), 4096u);
  EXPECT_EQ(p.audit.version, "1.0");
  EXPECT_EQ(p.audit.size, 123u);
  EXPECT_EQ(p.metadata.at("anyone"), "at all");
  const NativeOptions native = apply_runtime(p.runtime, {});
  EXPECT_EQ(native.threads, 2);
  EXPECT_EQ(native.context_length, 1024);
  EXPECT_EQ(native.kv_type, "f32");
  EXPECT_EQ(native.kv_tokens, 2048);
  EXPECT_EQ(native.swap_bytes, 1 << 20);
  EXPECT_EQ(native.max_batch, 8);
  EXPECT_EQ(native.cache_folder, "/var/cache");
  EXPECT_EQ(native.cache_bytes, 4096);
}

TEST(Policy, WhatIsLeftOutIsTheDefault) {
  for (const char* yaml : {"", "# nothing\n", "---\n", "audit:\n", "{}", "generation: {}"}) {
    const Policy p = parse_policy(yaml, "p.yaml");
    EXPECT_EQ(p.engine.name, "native");
    EXPECT_EQ(p.generation.temperature, SamplingParams().temperature);
    EXPECT_EQ(p.runtime.memory_bytes(), std::nullopt);
    const NativeOptions native = apply_runtime(p.runtime, {});
    EXPECT_EQ(native.kv_type, NativeOptions().kv_type);
    EXPECT_EQ(native.max_batch, NativeOptions().max_batch);
  }
}

TEST(Policy, UnknownNamesGetTheNearest) {
  EXPECT_THAT(refusal("modell:\n  path: x\n"), AllOf(HasSubstr("p.yaml:1"), HasSubstr("'model'")));
  EXPECT_THAT(refusal("\n\ngeneration:\n  top_k: 1\n  temprature: 1\n"),
              AllOf(HasSubstr("p.yaml:5"), HasSubstr("'generation'"), HasSubstr("'temperature'")));
  EXPECT_THAT(refusal("runtime: {treads: 3}"), HasSubstr("'threads'"));
  EXPECT_THAT(refusal("audit: {sha265: x}"), HasSubstr("'sha256'"));
  EXPECT_THAT(refusal("model: {paht: x}"), HasSubstr("'path'"));
  EXPECT_THAT(refusal("quite: different"), HasSubstr("engine, model, generation"));
}

TEST(Policy, WrongValuesNameLineKeyAndRange) {
  const struct {
    const char *yaml, *line, *key, *expected;
  } cases[] = {
      {"generation:\n  top_p: 1.5\n", ":2:", "top_p", "from 0 to 1"},
      {"generation:\n  top_k: many\n", ":2:", "top_k", "whole number"},
      {"generation:\n  top_k: \"3\"\n", ":2:", "top_k", "whole number"},
      {"generation:\n  top_k: 2.5\n", ":2:", "top_k", "whole number"},
      {"generation:\n  ignore_eos: yes\n", ":2:", "ignore_eos", "true or false"},
      {"generation:\n  stop: [[a]]\n", ":2:", "stop", "texts"},
      {"generation:\n  temperature: .inf\n", ":2:", "temperature", "from 0 to 100"},
      {"generation:\n  temperature: nan\n", ":2:", "temperature", "a number"},
      {"generation:\n  temperature:\n", ":2:", "temperature", "a number"},
      {"runtime:\n\n  threads: -1\n", ":3:", "threads", "from 0 to 1024"},
      {"runtime:\n  threads: 99999999999999999999\n", ":2:", "threads", "whole number"},
      {"runtime:\n  kv_type: q9\n", ":2:", "kv_type", "f32 or f16 or bf16"},
      {"runtime:\n  memory: lots\n", ":2:", "size", "6GiB"},
      {"runtime:\n  memory: -1GiB\n", ":2:", "size", "6GiB"},
      {"runtime:\n  memory: 1e99GiB\n", ":2:", "size", "6GiB"},
      {"engine:\n  name: magic\n", ":2:", "name", "native"},
      {"model: {path: x}\naudit:\n  sha256: beef\n", ":3:", "sha256", "64 hexadecimal"},
      {"audit:\n  size: -5\n", ":2:", "size", "whole number"},
      {"generation: 5\n", ":1:", "generation", "keys and values"},
      {"- a\n- b\n", ":1:", "policy", "keys and values"},
      {"generation:\n  temp: 1\n  temperature: 2\n", ":3:", "temperature", "line 2"},
      {"metadata:\n  a: [1]\n", ":2:", "metadata", "single texts"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.yaml);
    EXPECT_THAT(refusal(c.yaml), AllOf(HasSubstr(std::string("p.yaml") + c.line), HasSubstr(c.key),
                                       HasSubstr(c.expected)));
  }
  EXPECT_THAT(refusal("audit: {size: 5}"), HasSubstr("no path"));
}

TEST(Yaml, RefusesWhatSettingsDoNotNeed) {
  EXPECT_THAT(refusal("a: &x 1\n"), HasSubstr("anchor"));
  EXPECT_THAT(refusal("a: *x\n"), HasSubstr("p.yaml:1"));
  EXPECT_THAT(refusal("model: !!python/object:os.system x\n"), HasSubstr("tag"));
  EXPECT_THAT(refusal("model:\n  name: a\nmodel:\n  name: b\n"),
              AllOf(HasSubstr("p.yaml:3"), HasSubstr("twice")));
  EXPECT_THAT(refusal("{}\n---\n{}\n"), HasSubstr("second document"));
  EXPECT_THAT(refusal("? [a, b]\n: c\n"), HasSubstr("key"));
  EXPECT_THAT(refusal("model: {path: \"x\n"), HasSubstr("not YAML"));
  EXPECT_THAT(refusal("model:\n\t- x\n"), HasSubstr("not YAML"));
  EXPECT_THAT(refusal("a: b: c\n"), HasSubstr("not YAML"));
}

TEST(Yaml, HostileTextIsBoundedInTimeAndDepth) {
  std::string laughs = "a: &a [x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c < 'j'; ++c)
    laughs += fmt::format("{0}: &{0} [*{1},*{1},*{1},*{1},*{1},*{1},*{1},*{1}]\n", c, char(c - 1));
  const std::string deep_flow(100000, '['), deep_map = [] {
    std::string text;
    for (int i = 0; i < 50000; ++i) text += "{a: ";
    return text;
  }();
  std::string deep_list, deep_indent, keys, numbers = "a: [", question(100000, '?');
  for (int i = 0; i < 50000; ++i) deep_list += "- ";
  for (int i = 0; i < 700; ++i) deep_indent += std::string(static_cast<size_t>(i), ' ') + "a:\n";
  for (int i = 0; i < 30000; ++i) keys += fmt::format("k{}: 1\n", i);
  for (int i = 0; i < 100000; ++i) numbers += "1,";
  const std::string colons(200000, ':'), quotes(200000, '"'), huge(kMaxYamlBytes + 1, '#');
  const std::string bars = "a: |\n" + std::string(200000, '\n');
  for (const std::string& text : {laughs, deep_flow, deep_map, deep_list, deep_indent, keys,
                                  numbers, question, colons, quotes, huge, bars}) {
    const double start = thread_seconds();
    EXPECT_NE(refusal(text), "accepted") << text.substr(0, 40);
    EXPECT_LT(thread_seconds() - start, allowed_seconds(1.0)) << text.substr(0, 40);
  }
}

TEST(Policy, SizesInWords) {
  EXPECT_EQ(parse_byte_size("0"), 0u);
  EXPECT_EQ(parse_byte_size("4096"), 4096u);
  EXPECT_EQ(parse_byte_size("2 kB"), 2000u);
  EXPECT_EQ(parse_byte_size("1.5MiB"), 3u << 19);
  EXPECT_EQ(parse_byte_size("6GiB"), uint64_t{6} << 30);
  for (const char* text : {"", " ", "GiB", "1 GiB ", "1  GiB", "1gib", "0x10", "1,5GiB", "nan",
                           "inf", "-1", "99999999TiB", "1e3"})
    EXPECT_THROW(parse_byte_size(text), Error) << text;
}

TEST(Policy, FitsMemoryOnlyWhenAskedTo) {
  const auto model = load_embedded_model();
  NativeOptions options;
  options.kv_type = "f32";
  options.max_batch = 64;
  RuntimePolicy runtime;
  const uint64_t whole = planned_memory(*model, options);
  EXPECT_EQ(fit_memory(runtime, *model, options, whole / 2).options.kv_type, "f32");
  runtime.fit = true;
  EXPECT_EQ(fit_memory(runtime, *model, options, whole).said, "");
  const Fitted half = fit_memory(runtime, *model, options, whole * 6 / 10);
  EXPECT_EQ(half.options.kv_type, "f16");
  EXPECT_LE(planned_memory(*model, half.options), whole * 6 / 10);
  EXPECT_THAT(half.said, HasSubstr("KV cache f16"));
  // What no setting can reach is left for the check to refuse.
  EXPECT_EQ(fit_memory(runtime, *model, options, 1000).options.context_length, 512);
}

TEST(Policy, BudgetNamesBothNumbers) {
  const auto model = load_embedded_model();
  RuntimePolicy runtime;
  NativeOptions options;
  options.context_length = 256;
  check_memory_budget(runtime, *model, options);  // none: no limit
  const uint64_t planned = planned_memory(*model, options);
  runtime.memory = fmt::format("{}", planned);
  check_memory_budget(runtime, *model, options);
  options.max_batch = 2;
  EXPECT_GT(planned_memory(*model, options), planned);
  try {
    check_memory_budget(runtime, *model, options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::limit_exceeded);
    const double now = static_cast<double>(planned_memory(*model, options));
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr(fmt::format("{:.3f} GB", static_cast<double>(planned) / 1e9)),
                      HasSubstr(fmt::format("{:.3f} GB", now / 1e9))));
  }
}

TEST(Policy, PathsAreRelativeToTheFile) {
  const TempDir folder;
  const auto file = folder.path() / "p.yaml";
  std::ofstream(file) << "model: {path: m.gguf}\nruntime: {cache_folder: /abs}\n";
  const Policy p = load_policy(file);
  EXPECT_EQ(p.model.path, (folder.path() / "m.gguf").string());
  EXPECT_EQ(p.runtime.cache_folder, "/abs");
  EXPECT_THROW(load_policy(folder.path() / "none.yaml"), Error);
}

TEST(PolicyExample, IsValidAndNamesEveryOption) {
  const auto path = repository_file("deploy/policy.example.yaml");
  const Policy p = load_policy(path);
  EXPECT_FLOAT_EQ(p.generation.temperature, 0.7f);
  const std::string text = read_file(path);
  const auto expect_all = [&](const auto& table) {
    for (const OptionInfo& info : table.infos())
      EXPECT_TRUE(text.find("\n  " + info.name + ": ") != std::string::npos ||
                  text.find("\n  # " + info.name + ": ") != std::string::npos)
          << info.name << " is not in the example";
  };
  expect_all(engine_policy_options());
  expect_all(model_policy_options());
  expect_all(sampling_options());
  expect_all(runtime_policy_options());
  expect_all(audit_policy_options());
}

// What the example shows as switched off is valid too, and is what it says: the default.
TEST(PolicyExample, CommentedLinesAreTheDefaults) {
  std::string text = read_file(repository_file("deploy/policy.example.yaml"));
  std::string generation;
  const size_t begin = text.find("generation:"), end = text.find("runtime:");
  std::istringstream lines(text.substr(begin, end - begin));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("  # ") && line.find("logit_bias") == std::string::npos)
      generation += "  " + line.substr(4) + "\n";
  }
  const SamplingParams shown = parse_policy("generation:\n" + generation, "x").generation;
  const SamplingParams defaults;
  EXPECT_EQ(shown.typical_p, defaults.typical_p);
  EXPECT_EQ(shown.dry_base, defaults.dry_base);
  EXPECT_EQ(shown.dry_penalty_last_n, defaults.dry_penalty_last_n);
  EXPECT_EQ(shown.dry_sequence_breakers, defaults.dry_sequence_breakers);
  EXPECT_EQ(shown.mirostat_tau, defaults.mirostat_tau);
  EXPECT_EQ(shown.xtc_threshold, defaults.xtc_threshold);
  EXPECT_EQ(shown.repeat_last_n, defaults.repeat_last_n);
  EXPECT_EQ(shown.seed, defaults.seed);
  EXPECT_EQ(shown.logprobs, defaults.logprobs);
}

}  // namespace
}  // namespace weir::test
