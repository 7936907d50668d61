// Running one request. The prompt goes through in chunks, which never changes the answer; each
// token after it is one forward pass.
#include "engine/native_engine.h"

#include <algorithm>
#include <chrono>

#include "base/checked.h"
#include "base/cpu.h"
#include "base/error.h"
#include "decoding/logits_processor.h"
#include "decoding/random.h"
#include "engine/answer.h"
#include "engine/chat_prompt.h"

namespace weir {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

int64_t context_of(const Model& model, const NativeOptions& options) {
  const int64_t trained = model.config().context;
  const int64_t context =
      options.context_length == 0 ? std::min(trained, kDefaultContext) : options.context_length;
  if (context < 1 || (model.config().learned_positions && context > trained))
    fail(Code::invalid_argument, "a context of {} tokens, expected 1 to {}", context, trained);
  return context;
}

DType kv_type_named(const std::string& name) {
  const auto type = dtype_by_name(name);
  if (!type || (*type != DType::f32 && *type != DType::f16 && *type != DType::bf16))
    fail(Code::invalid_argument, "KV type '{}' is not known; Weir has f32, f16, bf16", name);
  return *type;
}

int64_t chunk_of(const NativeOptions& options, int64_t context) {
  if (options.prefill_chunk < 1 || options.prefill_chunk > 65536)
    fail(Code::invalid_argument, "a prefill chunk of {} tokens, expected 1 to 65536",
         options.prefill_chunk);
  return std::min(options.prefill_chunk, context);
}

/// What the sampler must know of the vocabulary.
SamplerVocab sampler_vocabulary(const Model& model, const SamplingParams& params) {
  SamplerVocab vocabulary;
  const auto size = checked_cast<int32_t>(model.config().vocabulary);
  if (!size) fail(Code::unsupported, "a vocabulary of {} tokens", model.config().vocabulary);
  vocabulary.size = *size;
  const Tokenizer* const tokenizer = model.tokenizer().get();
  if (tokenizer == nullptr) return vocabulary;
  if (params.ignore_eos)
    for (int32_t id = 0; id < tokenizer->vocab_size(); ++id)
      if (tokenizer->is_end_of_generation(id)) vocabulary.end_ids.push_back(id);
  if (params.dry_multiplier != 0.0f) {
    std::string text;  // of the token being looked at
    vocabulary.dry_breaker_ids = tokens_with(params.dry_sequence_breakers, tokenizer->vocab_size(),
                                             [&](int32_t id) -> std::string_view {
                                               text = tokenizer->piece(id);
                                               return text;
                                             });
  }
  return vocabulary;
}

bool is_cancelled(const Request& request) {
  return request.cancel != nullptr && request.cancel->load(std::memory_order_relaxed);
}

}  // namespace

std::string_view finish_reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::none:
      return "";
    case FinishReason::stop:
      return "stop";
    case FinishReason::length:
    case FinishReason::context:
      return "length";
    case FinishReason::cancelled:
      return "cancelled";
    case FinishReason::timeout:
      return "timeout";
    case FinishReason::error:
      return "error";
  }
  return "";
}

double Statistics::prefill_tokens_per_second() const {
  return prefill_seconds > 0 ? static_cast<double>(prompt_tokens) / prefill_seconds : 0.0;
}

double Statistics::decode_tokens_per_second() const {
  return decode_seconds > 0 && generated_tokens > 1
             ? static_cast<double>(generated_tokens - 1) / decode_seconds
             : 0.0;
}

NativeEngine::NativeEngine(std::shared_ptr<const Model> model, const NativeOptions& options)
    : model_(std::move(model)),
      device_(options.threads),
      decoder_(model_, device_, chunk_of(options, context_of(*model_, options)),
               context_of(*model_, options)),
      pool_(Decoder::kv_layout(model_->config(), kv_type_named(options.kv_type)),
            div_up(decoder_.context(), kernels::kPageTokens)),
      chunk_(decoder_.max_tokens()),
      no_logits_(static_cast<size_t>(chunk_), 0) {
  capabilities_ = {.engine = "native",
                   .model = model_->summary().name,
                   .isa = device_.table().isa,
                   .threads = device_.threads(),
                   .context_length = decoder_.context(),
                   .vocabulary = model_->config().vocabulary,
                   .text = model_->tokenizer() != nullptr,
                   .chat_template = !model_->chat_template().empty(),
                   .log_probabilities = true};
  most_waiting_ = static_cast<size_t>(options.max_queue);
  counters_.pages = counters_.free_pages = pool_.pages();
  worker_ = std::thread([this] { serve(); });
}

NativeEngine::~NativeEngine() {
  drain(0);
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  worker_.join();
}

void NativeEngine::submit(Request request, EventSink sink) {
  request.tokens = tokenize(request);
  const std::lock_guard lock(mutex_);
  if (draining_) fail(Code::unavailable, "the engine is shutting down");
  if (waiting_.size() >= most_waiting_)
    fail(Code::unavailable, "{} requests wait already; try again later", waiting_.size());
  waiting_.push_back({std::move(request), std::move(sink)});
  changed_.notify_all();
}

void NativeEngine::serve() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    Job job = std::move(waiting_.front());
    waiting_.pop_front();
    busy_ = true;
    lock.unlock();
    Event last;
    try {
      if (give_up_) fail(Code::unavailable, "the engine is shutting down");
      const Statistics statistics = run(job.request, [&](const Event& event) {
        if (event.finish == FinishReason::none)
          job.sink(event);
        else
          last = event;
      });
      last.statistics = statistics;
    } catch (const Error& error) {
      last = Event();
      last.finish = FinishReason::error;
      last.code = error.code();
      last.detail = error.what();
    }
    job.sink(last);
    lock.lock();
    busy_ = false;
    ++counters_.finished;
    changed_.notify_all();
  }
}

std::string NativeEngine::detokenize(std::span<const int32_t> tokens) const {
  if (model_->tokenizer() == nullptr)
    fail(Code::unsupported, "the model has no tokenizer: ids have no text");
  return model_->tokenizer()->decode(tokens);
}

std::vector<float> NativeEngine::embed(const Request& request) {
  tokenize(request);
  fail(Code::unsupported, "this engine gives no embeddings yet");
}

EngineCounters NativeEngine::counters() const {
  const std::lock_guard lock(mutex_);
  EngineCounters counters = counters_;
  counters.running = busy_ ? 1 : 0;
  counters.queued = static_cast<int64_t>(waiting_.size());
  return counters;
}

void NativeEngine::drain(double seconds) {
  std::unique_lock lock(mutex_);
  draining_ = true;
  const auto idle = [&] { return waiting_.empty() && !busy_; };
  if (changed_.wait_for(lock, std::chrono::duration<double>(seconds), idle)) return;
  give_up_ = true;
  changed_.wait(lock, idle);
}

std::vector<int32_t> NativeEngine::tokenize(const Request& request) const {
  std::vector<int32_t> ids = request.tokens;
  if (ids.empty() && !request.messages.empty()) {
    ids = chat_tokens(*model_, request.messages);
  } else if (ids.empty()) {
    if (model_->tokenizer() == nullptr)
      fail(Code::unsupported, "the model has no tokenizer: give token ids instead of text");
    ids = model_->tokenizer()->encode(request.prompt, {.add_special = request.add_special,
                                                       .parse_special = request.parse_special});
  }
  if (ids.empty()) fail(Code::invalid_argument, "the prompt is empty and the model adds no token");
  for (const int32_t id : ids)
    if (id < 0 || id >= model_->config().vocabulary)
      fail(Code::invalid_argument, "token id {}, the vocabulary has ids 0 to {}", id,
           model_->config().vocabulary - 1);
  const auto length = static_cast<int64_t>(ids.size());
  if (length > decoder_.context())
    fail(Code::limit_exceeded,
         "the prompt has {} tokens, the context holds {}; shorten it or ask for a longer context",
         length, decoder_.context());
  return ids;
}

bool NativeEngine::feed(const Request& request, Sequence& sequence, std::span<const int32_t> ids,
                        std::span<const float>& logits) {
  while (!ids.empty()) {
    if (give_up_) fail(Code::unavailable, "the engine is shutting down");
    if (is_cancelled(request)) return false;
    const auto count = std::min(static_cast<int64_t>(ids.size()), chunk_);
    const auto part = ids.first(static_cast<size_t>(count));
    ids = ids.subspan(part.size());
    sequence.reserve(sequence.length() + count);
    const SequenceRun run{sequence.view(), 0, count, sequence.length()};
    Batch batch{.tokens = part, .runs = {&run, 1}, .wants_logits = {}};
    if (!ids.empty()) batch.wants_logits = std::span(no_logits_).first(part.size());
    const auto rows = decoder_.forward(batch);
    sequence.append(count);
    if (rows.empty()) continue;
    if (!rows[0].finite)
      fail(Code::numeric,
           "the model gave NaN or infinity after token {}; its weights are damaged or overflow",
           sequence.length());
    logits = rows[0].logits;
  }
  return true;
}

Statistics NativeEngine::run(const Request& request,
                             const std::function<void(const Event&)>& on_event) {
  const auto start = Clock::now();
  const std::lock_guard lock(one_request_);
  SamplingParams params = request.sampling;
  if (!params.seed) params.seed = fresh_seed();
  std::vector<int32_t> history = tokenize(request);
  Sampler sampler(params, sampler_vocabulary(*model_, params));
  Sequence sequence(pool_);
  Statistics statistics;
  statistics.load_seconds = model_->summary().load_seconds;
  statistics.seed = *params.seed;
  statistics.prompt_tokens = static_cast<int64_t>(history.size());
  // The last token needs no place: nothing is computed after it.
  const int64_t room = decoder_.context() - statistics.prompt_tokens + 1;
  Answer answer(model_->tokenizer(), params, room, decoder_.context(), on_event);
  if (params.max_tokens == 0) {
    answer.end(FinishReason::length);
    return statistics;
  }

  std::span<const float> logits;
  const auto prefill_start = Clock::now();
  bool finished = !feed(request, sequence, history, logits);
  statistics.prefill_seconds = seconds_since(prefill_start);
  if (finished) answer.end(FinishReason::cancelled);
  Clock::time_point first_token;
  while (!finished) {
    const Sampled token = sampler.sample(logits, history, static_cast<int64_t>(history.size()));
    history.push_back(token.id);
    if (answer.tokens() == 0) {
      first_token = Clock::now();
      statistics.first_token_seconds = seconds_since(start);
    }
    statistics.decode_seconds = seconds_since(first_token);
    finished = answer.push(token);
    if (!finished && !feed(request, sequence, std::span(history).last(1), logits)) {
      answer.end(FinishReason::cancelled);
      finished = true;
    }
  }
  statistics.generated_tokens = answer.tokens();
  statistics.peak_memory_bytes = peak_memory_bytes();
  return statistics;
}

std::unique_ptr<Engine> make_native_engine(std::shared_ptr<const Model> model,
                                           const NativeOptions& options) {
  return std::make_unique<NativeEngine>(std::move(model), options);
}

}  // namespace weir
