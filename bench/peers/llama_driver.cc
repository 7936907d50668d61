// Measures llama.cpp as a package ships it: opens its shared libraries, calls their C API, prints
// one JSON object like `weir bench --json`. Owns only the measurement; no code of llama.cpp is
// here.
//
// The declarations below are the few parts of the public C API that are needed. Parameter structs
// are passed by value and grow from release to release, so only the stable first fields are named,
// the rest is kept as the library filled it (a caller may pass more bytes than the callee reads).
// What the context made of them is read back and checked.
//
// Measured as llama-bench does: random tokens, an empty context before each repetition, a warm-up
// run of each test, generation starts without a prompt, threads live in a pool between calls.
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

struct Options {
  std::filesystem::path libraries;
  std::string model;
  int prompt = 512;
  int generate = 64;
  int threads = 2;
  int repeats = 3;
  int sequences = 0;  // if not 0: aggregate decode of so many sequences in each batch, only
};

Options parse(int argc, char** argv) {
  const std::string usage =
      "usage: llama_driver LIBRARY_FOLDER MODEL [-p TOKENS] [-n TOKENS] [-t THREADS] [-r REPEATS] "
      "[-s SEQUENCES]";
  if (argc < 3 || argc % 2 == 0) die(usage);
  Options options;
  options.libraries = argv[1];
  options.model = argv[2];
  for (int i = 3; i < argc; i += 2) {
    const std::string flag = argv[i];
    int* target = flag == "-p"   ? &options.prompt
                  : flag == "-n" ? &options.generate
                  : flag == "-t" ? &options.threads
                  : flag == "-r" ? &options.repeats
                  : flag == "-s" ? &options.sequences
                                 : nullptr;
    if (target == nullptr) die("unknown flag " + flag + "\n" + usage);
    *target = std::atoi(argv[i + 1]);
    if (*target <= 0 || *target > 1 << 20) die(flag + " needs a positive number");
  }
  return options;
}

class Peer {
 public:
  explicit Peer(const Options& options)
      : ggml_base_(find_library(options.libraries, "libggml-base")),
        ggml_(find_library(options.libraries, "libggml.")),
        llama_(find_library(options.libraries, "libllama.")) {
    using LogCallback = void(int, const char*, void*);
    llama_.get<void(LogCallback*, void*)>("llama_log_set")([](int, const char*, void*) {}, nullptr);
    ggml_.get<void(const char*)>("ggml_backend_load_all_from_path")(options.libraries.c_str());
    llama_.get<void()>("llama_backend_init")();
    const auto model_params = llama_.get<ModelParams()>("llama_model_default_params")();
    model_ = llama_.get<Model*(const char*, ModelParams)>("llama_model_load_from_file")(
        options.model.c_str(), model_params);
    if (model_ == nullptr) die("llama.cpp cannot load " + options.model);
    make_context(options);
    attach_threads(options.threads);
    const auto* vocab = llama_.get<const Vocab*(const Model*)>("llama_model_get_vocab")(model_);
    vocabulary_ = llama_.get<int32_t(const Vocab*)>("llama_vocab_n_tokens")(vocab);
    decode_ = llama_.get<int32_t(Context*, Batch)>("llama_decode");
    batch_ = llama_.get<Batch(Token*, int32_t)>("llama_batch_get_one");
    synchronize_ = llama_.get<void(Context*)>("llama_synchronize");
    logits_ = llama_.get<float*(Context*, int32_t)>("llama_get_logits_ith");
  }

  std::string system_info() const { return llama_.get<const char*()>("llama_print_system_info")(); }

  /// Tokens per second of one run: all tokens at once, or one after the other.
  double run(int tokens, bool one_by_one) {
    auto* memory = llama_.get<Memory*(const Context*)>("llama_get_memory")(context_);
    llama_.get<void(Memory*, bool)>("llama_memory_clear")(memory, false);
    std::vector<Token> ids(static_cast<size_t>(tokens));
    std::uniform_int_distribution<Token> any(0, vocabulary_ - 1);
    for (Token& id : ids) id = any(random_);
    const int32_t step = one_by_one ? 1 : tokens;
    const auto start = std::chrono::steady_clock::now();
    for (int32_t i = 0; i < tokens; i += step) {
      if (decode_(context_, batch_(&ids[static_cast<size_t>(i)], step)) != 0) {
        die("llama_decode failed");
      }
      synchronize_(context_);
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    const float* logits = logits_(context_, -1);
    if (logits == nullptr || !std::isfinite(logits[0])) die("the logits are not finite");
    return tokens / seconds.count();
  }

  /// Tokens per second of all sequences together: each step decodes one token of each, with logits.
  double run_sequences(int sequences, int tokens) {
    auto* memory = llama_.get<Memory*(const Context*)>("llama_get_memory")(context_);
    llama_.get<void(Memory*, bool)>("llama_memory_clear")(memory, false);
    const auto count = static_cast<size_t>(sequences);
    std::vector<Token> ids(count);
    std::vector<int32_t> positions(count), ones(count, 1), numbers(count);
    std::vector<int32_t*> pointers(count);
    std::vector<int8_t> logits(count, 1);
    for (size_t i = 0; i < count; ++i) {
      numbers[i] = static_cast<int32_t>(i);
      pointers[i] = &numbers[i];
    }
    std::uniform_int_distribution<Token> any(0, vocabulary_ - 1);
    const auto start = std::chrono::steady_clock::now();
    for (int32_t position = 0; position < tokens; ++position) {
      for (size_t i = 0; i < count; ++i) {
        ids[i] = any(random_);
        positions[i] = position;
      }
      const Batch batch{sequences,   ids.data(),      nullptr,      positions.data(),
                        ones.data(), pointers.data(), logits.data()};
      if (decode_(context_, batch) != 0) die("llama_decode failed");
      synchronize_(context_);
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    const float* last = logits_(context_, -1);
    if (last == nullptr || !std::isfinite(last[0])) die("the logits are not finite");
    return sequences * tokens / seconds.count();
  }

 private:
  void make_context(const Options& options) {
    auto params = llama_.get<ContextParams()>("llama_context_default_params")();
    params.n_ctx = static_cast<uint32_t>(std::max({512, options.prompt, options.generate}));
    if (options.sequences > 0) {  // the context is split evenly between the sequences
      params.n_ctx = static_cast<uint32_t>(
          std::max(512, options.sequences * ((options.generate + 255) / 256 * 256)));
      params.n_seq_max = static_cast<uint32_t>(options.sequences);
    }
    params.n_batch = 512;
    params.n_ubatch = 512;
    context_ = llama_.get<Context*(Model*, ContextParams)>("llama_init_from_model")(model_, params);
    if (context_ == nullptr) die("llama.cpp cannot make a context");
    llama_.get<void(Context*, int32_t, int32_t)>("llama_set_n_threads")(context_, options.threads,
                                                                        options.threads);
    using Count = uint32_t(const Context*);
    if (llama_.get<Count>("llama_n_ctx")(context_) < params.n_ctx ||
        llama_.get<Count>("llama_n_batch")(context_) != 512 ||
        llama_.get<Count>("llama_n_ubatch")(context_) != 512 ||
        llama_.get<Count>("llama_n_seq_max")(context_) < params.n_seq_max ||
        llama_.get<int32_t(Context*)>("llama_n_threads")(context_) != options.threads) {
      die("the context is not as asked; the library's parameter structs have changed");
    }
  }

  void attach_threads(int threads) {
    auto* registry = ggml_.get<Registry*(const char*)>("ggml_backend_reg_by_name")("CPU");
    if (registry == nullptr) die("llama.cpp found no CPU backend for this machine");
    auto* create = reinterpret_cast<Threadpool* (*)(ThreadpoolParams*)>(
        ggml_base_.get<void*(Registry*, const char*)>("ggml_backend_reg_get_proc_address")(
            registry, "ggml_threadpool_new"));
    if (create == nullptr) die("the CPU backend has no ggml_threadpool_new");
    auto params = ggml_base_.get<ThreadpoolParams(int)>("ggml_threadpool_params_default")(threads);
    auto* pool = create(&params);
    if (pool == nullptr) die("llama.cpp cannot make a thread pool");
    llama_.get<void(Context*, Threadpool*, Threadpool*)>("llama_attach_threadpool")(context_, pool,
                                                                                    nullptr);
  }

  Library ggml_base_;
  Library ggml_;
  Library llama_;
  Model* model_ = nullptr;
  Context* context_ = nullptr;
  int32_t vocabulary_ = 0;
  int32_t (*decode_)(Context*, Batch) = nullptr;
  Batch (*batch_)(Token*, int32_t) = nullptr;
  void (*synchronize_)(Context*) = nullptr;
  float* (*logits_)(Context*, int32_t) = nullptr;
  std::mt19937 random_{1};
};

std::string row(Peer& peer, const Options& options, int tokens, bool one_by_one) {
  peer.run(one_by_one ? 1 : tokens, one_by_one);  // warm-up: touches the weights, builds the graph
  std::vector<double> rates;
  for (int i = 0; i < options.repeats; ++i) rates.push_back(peer.run(tokens, one_by_one));
  std::sort(rates.begin(), rates.end());
  const size_t middle = rates.size() / 2;
  const double median =
      rates.size() % 2 == 1 ? rates[middle] : (rates[middle - 1] + rates[middle]) / 2;
  char text[256];
  std::snprintf(text, sizeof text,
                "{\"test\":\"%s%d\",\"tokens_per_second\":{\"median\":%.3f,\"min\":%.3f,"
                "\"max\":%.3f}}",
                one_by_one ? "tg" : "pp", tokens, median, rates.front(), rates.back());
  return text;
}

int run(int argc, char** argv) {
  const Options options = parse(argc, argv);
  Peer peer(options);
  if (options.sequences > 0) {
    peer.run_sequences(options.sequences, 2);  // warm-up
    std::printf(
        "{\"threads\":%d,\"rows\":[{\"test\":\"sequences%d\",\"tokens_per_second\":"
        "{\"median\":%.3f}}]}\n",
        options.threads, options.sequences,
        peer.run_sequences(options.sequences, options.generate));
    std::fflush(stdout);
    std::_Exit(0);
  }
  const std::string prompt = row(peer, options, options.prompt, false);
  const std::string generate = row(peer, options, options.generate, true);
  std::printf("{\"threads\":%d,\"system\":\"%s\",\"rows\":[%s,%s]}\n", options.threads,
              peer.system_info().c_str(), prompt.c_str(), generate.c_str());
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
