#include "server/load.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cmath>
#include <numeric>
#include <optional>
#include <random>

#include "base/error.h"
#include "engine/engine.h"
#include "server/openai_request.h"

namespace weir {
namespace {

namespace asio = boost::asio;
using std::chrono::steady_clock;

constexpr const char* kWords[] = {"river", "stone",  "light", "table", "seven", "green",
                                  "quiet", "engine", "paper", "cloud", "north", "garden",
                                  "house", "winter", "music", "small"};

// Arrivals that lie so close go out together: a generator that wakes for each takes more of the
// machine than what it measures.
constexpr double kTogether = 0.002;  // seconds

/// What a client may ask; the same seed gives the same requests.
struct Question {
  std::string path, body;
  std::optional<std::string> alone;  // the text it gives with nothing else running
};

Question make_question(const LoadOptions& o, int64_t index, int64_t words, int64_t max_tokens) {
  std::mt19937_64 random(o.seed * 1000003 + static_cast<uint64_t>(index));
  std::string text = "Tell me about";
  for (int64_t i = 0; i < words; ++i) (text += ' ') += kWords[random() % std::size(kWords)];
  Request request;
  const bool chat = o.chat && index % 2 == 0;
  if (chat)
    request.messages.push_back({"user", text, {}});
  else
    request.prompt = text;
  request.sampling.temperature = index % 4 < 2 ? 0.0f : 0.8f;
  request.sampling.seed = static_cast<uint32_t>(random() % 1000000);
  request.sampling.max_tokens = static_cast<int32_t>(max_tokens);
  return {chat ? "/v1/chat/completions" : "/v1/completions",
          write_openai_request(request, o.model, true), std::nullopt};
}

asio::ip::tcp::resolver::results_type addresses_of(asio::io_context& context,
                                                   const LoadTarget& target) {
  asio::ip::tcp::resolver resolver(context);
  boost::system::error_code error;
  auto addresses = resolver.resolve(target.host, target.port, error);
  if (error || addresses.empty())
    fail(Code::io, "cannot find {}: {}", target.host, error.message());
  return addresses;
}

class Load {
 public:
  Load(const LoadTarget& target, const LoadOptions& options, const LoadProgress& progress)
      : options_(options),
        progress_(progress),
        client_(target, addresses_of(context_, target)),
        random_(options.seed) {
    make_questions();
  }

  LoadReport run() {
    if (options_.verify) run_alone();
    start_ = steady_clock::now();
    asio::co_spawn(context_, drive(), asio::detached);
    context_.restart();
    context_.run();
    report_.seconds = last_end_;
    report_.first_token = percentiles(std::move(first_));
    report_.between_tokens = percentiles(std::move(gaps_));
    report_.refusal = percentiles(std::move(refusals_));
    return report_;
  }

 private:
  double now() const { return std::chrono::duration<double>(steady_clock::now() - start_).count(); }

  void make_questions() {
    const LoadOptions& o = options_;
    if (!o.trace.empty()) {
      for (const TraceArrival& arrival : o.trace)
        questions_.push_back(
            make_question(o, static_cast<int64_t>(questions_.size()),
                          std::min(arrival.prompt_tokens, o.max_prompt),
                          std::clamp<int64_t>(arrival.generated_tokens, 1, o.max_tokens)));
      return;
    }
    const auto with_long =
        static_cast<int64_t>(std::lround(o.long_share * static_cast<double>(o.distinct)));
    for (int64_t i = 0; i < o.distinct; ++i)
      questions_.push_back(make_question(
          o, i, i >= o.distinct - with_long ? o.long_words : o.short_words, o.max_tokens));
  }

  void run_alone() {
    for (size_t i = 0; i < questions_.size(); ++i) {
      if (progress_)
        progress_(static_cast<double>(i) / static_cast<double>(questions_.size()),
                  "each request alone");
      ExchangeResult result;
      asio::co_spawn(
          context_,
          [&]() -> asio::awaitable<void> {
            // Named: g++ 12 destroys aggregate temporaries of a co_await twice.
            const Exchange exchange{questions_[i].path, questions_[i].body, -1, 0};
            result = co_await client_.run(exchange);
          },
          asio::detached);
      context_.restart();
      context_.run();
      if (result.end == ExchangeEnd::finished)
        questions_[i].alone = result.text;
      else
        count_error(result, "alone: ");
    }
  }

  asio::awaitable<void> drive() {
    if (!options_.trace.empty()) {
      co_await arrive([this](size_t i) -> std::optional<double> {
        if (i >= options_.trace.size()) return std::nullopt;
        return options_.trace[i].seconds / options_.speed;
      });
    } else if (options_.rate > 0) {
      double at = 0;
      co_await arrive([this, at](size_t) mutable -> std::optional<double> {
        at += std::exponential_distribution<double>(options_.rate)(random_);
        return at;
      });
    } else {
      for (int64_t i = 0; i < options_.streams; ++i)
        asio::co_spawn(context_, stream(i < options_.slow_streams), asio::detached);
    }
  }

  bool more() const {
    return options_.requests > 0 ? started_ < options_.requests : now() < options_.seconds;
  }

  /// Open loop: the next arrival does not wait for earlier answers.
  template <typename Next>
  asio::awaitable<void> arrive(Next next) {
    asio::steady_timer timer(context_);
    for (size_t i = 0; more(); ++i) {
      const std::optional<double> at = next(i);
      if (!at || (options_.requests == 0 && *at > options_.seconds)) co_return;
      if (*at > now() + kTogether) {
        timer.expires_at(start_ + std::chrono::nanoseconds(static_cast<int64_t>(*at * 1e9)));
        co_await timer.async_wait(asio::use_awaitable);
      } else if (i % 8 == 0) {  // answers come in also while the generator is behind
        co_await asio::post(context_, asio::use_awaitable);
      }
      const size_t which = options_.trace.empty() ? random_() % questions_.size() : i;
      ++started_;
      asio::co_spawn(context_, ask(which, false), asio::detached);
    }
  }

  asio::awaitable<void> stream(bool slow) {
    if (!slow) ++measured_;
    while (more()) {
      if (!slow) ++started_;
      co_await ask(random_() % questions_.size(), slow);
      if (slow && options_.requests > 0) co_return;
      asio::steady_timer timer(context_);
      if (refused_last_) {  // a client that is told to wait does
        timer.expires_after(std::chrono::milliseconds(200));
        co_await timer.async_wait(asio::use_awaitable);
      }
    }
    if (!slow && --measured_ == 0) context_.stop();  // slow readers would go on for hours
  }

  asio::awaitable<void> ask(size_t which, bool slow) {
    Exchange exchange{questions_[which].path, questions_[which].body, -1,
                      slow ? options_.slow_bytes_per_second : 0};
    if (!slow && std::uniform_real_distribution<double>(0, 1)(random_) < options_.disconnect)
      exchange.leave_after_pieces = static_cast<int64_t>(
          random_() % static_cast<uint64_t>(std::max<int64_t>(1, options_.max_tokens)));
    const ExchangeResult result = co_await client_.run(exchange);
    if (slow) {
      ++report_.slow;
      refused_last_ = result.status != 200;
      co_return;
    }
    record(questions_[which], result);
  }

  void count_error(const ExchangeResult& result, const std::string& prefix) {
    ++report_.errors;
    if (report_.error_texts.size() < 20) ++report_.error_texts[prefix + result.error];
  }

  bool in_time(const ExchangeResult& r) const {
    const double sum = std::accumulate(r.gaps.begin(), r.gaps.end(), 0.0);
    return r.first_piece_seconds <= options_.first_deadline &&
           sum <= options_.between_deadline * static_cast<double>(r.gaps.size());
  }

  void record(const Question& question, const ExchangeResult& r) {
    ++report_.requests;
    ++report_.by_status[r.status];
    last_end_ = now();
    refused_last_ = r.end == ExchangeEnd::shed;
    switch (r.end) {
      case ExchangeEnd::finished:
        ++report_.finished;
        if (in_time(r)) ++report_.within_deadlines;
        break;
      case ExchangeEnd::left:
        ++report_.disconnected;
        break;
      case ExchangeEnd::shed:
        ++report_.shed;
        refusals_.push_back(r.seconds);
        if (!options_.allow_shed) count_error(r, "");
        break;
      case ExchangeEnd::failed:
        count_error(r, "");
        break;
    }
    report_.prompt_tokens += r.prompt_tokens;
    report_.cached_tokens += r.cached_tokens;
    report_.generated_tokens += r.generated_tokens;
    if (r.first_piece_seconds >= 0) first_.push_back(r.first_piece_seconds);
    gaps_.insert(gaps_.end(), r.gaps.begin(), r.gaps.end());
    verify(question, r);
    if (progress_)
      progress_(options_.requests > 0
                    ? static_cast<double>(report_.requests) / static_cast<double>(options_.requests)
                    : last_end_ / options_.seconds,
                fmt::format("{} requests, {} errors, {} mismatches", report_.requests,
                            report_.errors, report_.mismatches));
  }

  /// A whole answer must be the whole text, one that the client left must be its beginning.
  void verify(const Question& question, const ExchangeResult& r) {
    if (!question.alone) return;
    if (r.end != ExchangeEnd::finished && r.end != ExchangeEnd::left) return;
    ++report_.verified;
    const bool same = r.end == ExchangeEnd::finished ? r.text == *question.alone
                                                     : question.alone->starts_with(r.text);
    if (!same) ++report_.mismatches;
  }

  const LoadOptions& options_;
  const LoadProgress& progress_;
  asio::io_context context_;
  LoadClient client_;
  std::mt19937_64 random_;
  std::vector<Question> questions_;
  steady_clock::time_point start_;
  LoadReport report_;
  std::vector<double> first_, gaps_, refusals_;
  int64_t started_ = 0, measured_ = 0;
  double last_end_ = 0;
  bool refused_last_ = false;
};

void check(const LoadOptions& o) {
  if (o.streams < 1 || o.distinct < 1 || o.max_tokens < 1 || !(o.speed > 0) || o.rate < 0 ||
      o.requests < 0 || (o.requests == 0 && !(o.seconds > 0)) || o.short_words < 0 ||
      o.long_words < 0)
    fail(Code::invalid_argument, "streams, distinct, tokens, speed and time must be positive");
  if (!(o.disconnect >= 0 && o.disconnect <= 1) || !(o.long_share >= 0 && o.long_share <= 1))
    fail(Code::invalid_argument, "the shares must be from 0 to 1");
  if ((o.slow_streams > 0) != (o.slow_bytes_per_second > 0) || o.slow_streams >= o.streams)
    fail(Code::invalid_argument, "slow readers need a pace and must be fewer than the {} streams",
         o.streams);
}

}  // namespace

LoadReport run_load(const LoadTarget& target, const LoadOptions& options,
                    const LoadProgress& progress) {
  check(options);
  return Load(target, options, progress).run();
}

}  // namespace weir
