// Measures llama.cpp as a package ships it: opens its shared libraries, calls their C API, prints
// one JSON object like `weir bench --json`. Owns only the measurement; no code of llama.cpp is
// here.
//
// The declarations below are the few parts of the public C API that are needed. Parameter structs
// are passed by value and grow from release to release, so only the stable first fields are named,
// the rest is kept as the library filled it (a caller may pass more bytes than the callee reads).
// What the context made of them is read back and checked.
//
// Measured as llama-bench does: random tokens, the context as empty or as deep as the test says
// before each repetition, a warm-up run of each test, threads live in a pool between calls.
#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>
#include <regex>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

// llama.h and ggml-cpu.h, release v0.5.0.
struct Model;
struct Context;
struct Vocab;
struct Memory;
struct Threadpool;
struct Registry;
using Token = int32_t;

/// llama_model_params: nothing is changed, the defaults map the file and repack weights.
struct alignas(16) ModelParams {
  unsigned char opaque[512];
};

/// llama_context_params: the defaults choose flash attention when it helps (auto).
struct alignas(16) ContextParams {
  uint32_t n_ctx;
  uint32_t n_batch;
  uint32_t n_ubatch;
  uint32_t n_seq_max;
  unsigned char opaque[1008];
};

/// ggml_threadpool_params.
struct alignas(16) ThreadpoolParams {
  unsigned char opaque[2048];
};

/// llama_batch, this one is complete.
struct Batch {
  int32_t n_tokens;
  Token* token;
  float* embd;
  int32_t* pos;
  int32_t* n_seq_id;
  int32_t** seq_id;
  int8_t* logits;
};

[[noreturn]] void die(const std::string& message) { throw std::runtime_error(message); }

class Library {
 public:
  explicit Library(const std::filesystem::path& path)
      : handle_(dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL)) {
    if (handle_ == nullptr) die(std::string("cannot open: ") + dlerror());
  }
  template <typename Function>
  Function* get(const char* name) const {
    void* symbol = dlsym(handle_, name);
    if (symbol == nullptr) die(std::string("the library has no ") + name);
    return reinterpret_cast<Function*>(symbol);
  }

 private:
  void* handle_;
};

/// The only file in `folder` whose name starts with `prefix` and ends with .so.
std::filesystem::path find_library(const std::filesystem::path& folder, const std::string& prefix) {
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    if (name.starts_with(prefix) && name.ends_with(".so")) found.push_back(entry.path());
  }
  if (found.size() != 1) {
    die("expected one " + prefix + "*.so in " + folder.string() + ", found " +
        std::to_string(found.size()));
  }
  return found.front();
}

/// One test by the name that weir bench gives it: "pp512", "tg64", "tg64x4" (4 sequences together),
/// each behind "@8192" tokens in the cache; "start16": a prompt of 16 tokens in a fresh process,
/// without a warm-up.
struct Test {
  std::string name;
  bool start = false, generate = false;
  int tokens = 0, sequences = 1, depth = 0;
};

Test parse_test(const std::string& name) {
  static const std::regex form("(pp|tg|start)([0-9]{1,5})(x([0-9]{1,4}))?(@([0-9]{1,6}))?");
  std::smatch parts;
  if (!std::regex_match(name, parts, form)) die("unknown test " + name);
  Test test;
  test.name = name;
  test.start = parts[1] == "start";
  test.generate = parts[1] == "tg";
  test.tokens = std::stoi(parts[2]);
  if (parts[4].matched) test.sequences = std::stoi(parts[4]);
  if (parts[6].matched) test.depth = std::stoi(parts[6]);
  if (test.tokens == 0 || test.sequences == 0) die("nothing to do in test " + name);
  if (test.sequences > 1 && (!test.generate || test.depth > 0))
    die("several sequences only generate, from an empty cache; not " + name);
  return test;
}

struct Options {
  std::filesystem::path libraries;
  std::string model, cpu;  // cpu: the one CPU library to use, as "haswell"; empty: the best one
  int threads = 2;
  int repeats = 1;
  std::vector<Test> tests;
};

Options parse(int argc, char** argv) {
  const std::string usage =
      "usage: llama_driver LIBRARY_FOLDER MODEL [-t THREADS] [-r REPEATS] [-cpu NAME] TEST...";
  if (argc < 4) die(usage);
  Options options;
  options.libraries = argv[1];
  options.model = argv[2];
  for (int i = 3; i < argc; ++i) {
    const std::string word = argv[i];
    if (word[0] != '-') {
      options.tests.push_back(parse_test(word));
      continue;
    }
    if (++i == argc) die(word + " needs a value\n" + usage);
    if (word == "-cpu") {
      options.cpu = argv[i];
      continue;
    }
    int* target = word == "-t" ? &options.threads : word == "-r" ? &options.repeats : nullptr;
    if (target == nullptr) die("unknown flag " + word + "\n" + usage);
    *target = std::atoi(argv[i]);
    if (*target <= 0 || *target > 1024) die(word + " needs a number from 1 to 1024");
  }
  if (options.tests.empty()) die(usage);
  // What one test leaves in the cache is the beginning of the next one's depth.
  std::stable_sort(options.tests.begin(), options.tests.end(),
                   [](const Test& a, const Test& b) { return a.depth < b.depth; });
  return options;
}

class Peer {
 public:
  explicit Peer(const Options& options)
      : threads_(options.threads),
        ggml_base_(find_library(options.libraries, "libggml-base")),
        ggml_(find_library(options.libraries, "libggml.")),
        llama_(find_library(options.libraries, "libllama.")) {
    using LogCallback = void(int, const char*, void*);
    llama_.get<void(LogCallback*, void*)>("llama_log_set")([](int, const char*, void*) {}, nullptr);
    load_backend(options);
    llama_.get<void()>("llama_backend_init")();
    const auto model_params = llama_.get<ModelParams()>("llama_model_default_params")();
    model_ = llama_.get<Model*(const char*, ModelParams)>("llama_model_load_from_file")(
        options.model.c_str(), model_params);
    if (model_ == nullptr) die("llama.cpp cannot load " + options.model);
    const auto* vocab = llama_.get<const Vocab*(const Model*)>("llama_model_get_vocab")(model_);
    vocabulary_ = llama_.get<int32_t(const Vocab*)>("llama_vocab_n_tokens")(vocab);
    decode_ = llama_.get<int32_t(Context*, Batch)>("llama_decode");
    batch_ = llama_.get<Batch(Token*, int32_t)>("llama_batch_get_one");
    synchronize_ = llama_.get<void(Context*)>("llama_synchronize");
    logits_ = llama_.get<float*(Context*, int32_t)>("llama_get_logits_ith");
  }

  std::string system_info() const { return llama_.get<const char*()>("llama_print_system_info")(); }

  /// Replaces the context by an empty one with room for `tokens` of each of `sequences`.
  void make_context(int tokens, int sequences) {
    if (context_ != nullptr) llama_.get<void(Context*)>("llama_free")(context_);
    auto params = llama_.get<ContextParams()>("llama_context_default_params")();
    // It is split evenly between the sequences.
    params.n_ctx = static_cast<uint32_t>(std::max(512, sequences * ((tokens + 255) / 256 * 256)));
    if (sequences > 1) params.n_seq_max = static_cast<uint32_t>(sequences);
    params.n_batch = kBatch;
    params.n_ubatch = kBatch;
    context_ = llama_.get<Context*(Model*, ContextParams)>("llama_init_from_model")(model_, params);
    if (context_ == nullptr) die("llama.cpp cannot make a context");
    llama_.get<void(Context*, int32_t, int32_t)>("llama_set_n_threads")(context_, threads_,
                                                                        threads_);
    using Count = uint32_t(const Context*);
    if (llama_.get<Count>("llama_n_ctx")(context_) < params.n_ctx ||
        llama_.get<Count>("llama_n_batch")(context_) != kBatch ||
        llama_.get<Count>("llama_n_ubatch")(context_) != kBatch ||
        llama_.get<Count>("llama_n_seq_max")(context_) < params.n_seq_max ||
        llama_.get<int32_t(Context*)>("llama_n_threads")(context_) != threads_) {
      die("the context is not as asked; the library's parameter structs have changed");
    }
    attach_threads();
    in_cache_ = 0;
  }

  /// Cuts the cache back to `depth` tokens or fills it up to them.
  void go_to_depth(int depth) {
    auto* memory = llama_.get<Memory*(const Context*)>("llama_get_memory")(context_);
    if (depth == 0) {
      llama_.get<void(Memory*, bool)>("llama_memory_clear")(memory, false);
    } else if (in_cache_ > depth) {
      using Remove = bool(Memory*, int32_t, int32_t, int32_t);
      if (!llama_.get<Remove>("llama_memory_seq_rm")(memory, 0, depth, -1))
        die("the cache cannot be cut");
    }
    in_cache_ = std::min(in_cache_, depth);
    while (in_cache_ < depth) prefill(std::min<int>(kBatch, depth - in_cache_));
  }

  /// Tokens per second of one run behind what is in the cache: all tokens at once, or one by one.
  double run(int tokens, bool one_by_one) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < tokens;) {
      const int step = one_by_one ? 1 : std::min<int>(kBatch, tokens - i);
      prefill(step);
      i += step;
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    check_logits();
    return tokens / seconds.count();
  }

  /// Tokens per second of all sequences together: each step decodes one token of each, with logits.
  double run_sequences(int sequences, int tokens) {
    const auto count = static_cast<size_t>(sequences);
    std::vector<Token> ids(count);
    std::vector<int32_t> positions(count), ones(count, 1), numbers(count);
    std::vector<int32_t*> pointers(count);
    std::vector<int8_t> logits(count, 1);
    for (size_t i = 0; i < count; ++i) {
      numbers[i] = static_cast<int32_t>(i);
      pointers[i] = &numbers[i];
    }
    const auto start = std::chrono::steady_clock::now();
    for (int32_t position = 0; position < tokens; ++position) {
      for (size_t i = 0; i < count; ++i) {
        ids[i] = any_token();
        positions[i] = position;
      }
      const Batch batch{sequences,   ids.data(),      nullptr,      positions.data(),
                        ones.data(), pointers.data(), logits.data()};
      if (decode_(context_, batch) != 0) die("llama_decode failed");
      synchronize_(context_);
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    check_logits();
    return sequences * tokens / seconds.count();
  }

 private:
  static constexpr int kBatch = 512;

  void load_backend(const Options& options) {
    if (options.cpu.empty()) {
      ggml_.get<void(const char*)>("ggml_backend_load_all_from_path")(options.libraries.c_str());
      return;
    }
    const auto path = find_library(options.libraries, "libggml-cpu-" + options.cpu);
    if (ggml_.get<Registry*(const char*)>("ggml_backend_load")(path.c_str()) == nullptr)
      die("llama.cpp refuses " + path.string());
  }

  void attach_threads() {
    if (pool_ == nullptr) {
      auto* registry = ggml_.get<Registry*(const char*)>("ggml_backend_reg_by_name")("CPU");
      if (registry == nullptr) die("llama.cpp found no CPU backend for this machine");
      auto* create = reinterpret_cast<Threadpool* (*)(ThreadpoolParams*)>(
          ggml_base_.get<void*(Registry*, const char*)>("ggml_backend_reg_get_proc_address")(
              registry, "ggml_threadpool_new"));
      if (create == nullptr) die("the CPU backend has no ggml_threadpool_new");
      auto params =
          ggml_base_.get<ThreadpoolParams(int)>("ggml_threadpool_params_default")(threads_);
      pool_ = create(&params);
      if (pool_ == nullptr) die("llama.cpp cannot make a thread pool");
    }
    llama_.get<void(Context*, Threadpool*, Threadpool*)>("llama_attach_threadpool")(context_, pool_,
                                                                                    nullptr);
  }

  Token any_token() { return std::uniform_int_distribution<Token>(0, vocabulary_ - 1)(random_); }

  /// One batch behind what is in the cache.
  void prefill(int tokens) {
    std::vector<Token> ids(static_cast<size_t>(tokens));
    for (Token& id : ids) id = any_token();
    if (decode_(context_, batch_(ids.data(), tokens)) != 0) die("llama_decode failed");
    synchronize_(context_);
    in_cache_ += tokens;
  }

  void check_logits() {
    const float* logits = logits_(context_, -1);
    if (logits == nullptr || !std::isfinite(logits[0])) die("the logits are not finite");
  }

  int threads_;
  Library ggml_base_;
  Library ggml_;
  Library llama_;
  Model* model_ = nullptr;
  Context* context_ = nullptr;
  Threadpool* pool_ = nullptr;
  int in_cache_ = 0;
  int32_t vocabulary_ = 0;
  int32_t (*decode_)(Context*, Batch) = nullptr;
  Batch (*batch_)(Token*, int32_t) = nullptr;
  void (*synchronize_)(Context*) = nullptr;
  float* (*logits_)(Context*, int32_t) = nullptr;
  std::mt19937 random_{1};
};

/// The counted runs of one test.
std::vector<double> rates_of(Peer& peer, const Test& test, int repeats) {
  std::vector<double> rates;
  // The first run warms up: touches the weights, builds the graph. A single token does for that.
  for (int i = test.start ? 1 : 0; i <= repeats; ++i) {
    peer.go_to_depth(test.depth);
    const bool warm_up = i == 0 && test.generate;
    const double rate = test.sequences > 1
                            ? peer.run_sequences(test.sequences, warm_up ? 2 : test.tokens)
                            : peer.run(warm_up ? 1 : test.tokens, test.generate);
    if (i > 0) rates.push_back(rate);
  }
  std::sort(rates.begin(), rates.end());
  return rates;
}

std::string row(const Test& test, const std::vector<double>& rates) {
  const size_t middle = rates.size() / 2;
  const double median =
      rates.size() % 2 == 1 ? rates[middle] : (rates[middle - 1] + rates[middle]) / 2;
  char text[256];
  std::snprintf(text, sizeof text,
                "{\"test\":\"%s\",\"tokens_per_second\":{\"median\":%.3f,\"min\":%.3f,"
                "\"max\":%.3f}}",
                test.name.c_str(), median, rates.front(), rates.back());
  return text;
}

int run(int argc, char** argv) {
  const Options options = parse(argc, argv);
  Peer peer(options);
  int room = 0;  // of the context of tests with one sequence
  for (const Test& test : options.tests)
    if (test.sequences == 1) room = std::max(room, test.depth + test.tokens);
  std::string rows;
  bool shared = false;
  for (const Test& test : options.tests) {
    if (test.sequences > 1 || !shared)
      peer.make_context(test.sequences > 1 ? test.tokens : room, test.sequences);
    shared = test.sequences == 1;
    rows += (rows.empty() ? "" : ",") + row(test, rates_of(peer, test, options.repeats));
  }
  std::printf("{\"threads\":%d,\"system\":\"%s\",\"rows\":[%s]}\n", options.threads,
              peer.system_info().c_str(), rows.c_str());
  // The libraries' global destructors need not run; the process ends here.
  std::fflush(stdout);
  std::_Exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "llama_driver: %s\n", error.what());
    return 1;
  }
}
