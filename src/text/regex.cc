// The only file that knows PCRE2.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/regex.h"

#include <pcre2.h>

#include "base/error.h"

namespace weir {
namespace {

// Steps of one search. Honest patterns need a few for each byte of their match.
constexpr uint32_t kMatchLimit = 200'000'000;
constexpr uint32_t kHeapLimitKiB = 512 * 1024;  // interpreter only, where there is no JIT
constexpr size_t kJitStackStart = 32 * 1024;
constexpr size_t kJitStackMax = 64 * 1024 * 1024;

std::string message_of(int code) {
  char buffer[256];
  pcre2_get_error_message(code, reinterpret_cast<PCRE2_UCHAR*>(buffer), sizeof buffer);
  return buffer;
}

}  // namespace

struct RegexScratch::State {
  pcre2_match_data* data = nullptr;
  pcre2_match_context* context = nullptr;
  pcre2_jit_stack* stack = nullptr;

  ~State() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
  }
};

RegexScratch::RegexScratch() : state_(std::make_unique<State>()) {
  state_->data = pcre2_match_data_create(1, nullptr);
  state_->context = pcre2_match_context_create(nullptr);
  state_->stack = pcre2_jit_stack_create(kJitStackStart, kJitStackMax, nullptr);
  if (state_->data == nullptr || state_->context == nullptr || state_->stack == nullptr) {
    throw std::bad_alloc();
  }
  pcre2_set_match_limit(state_->context, kMatchLimit);
  pcre2_set_heap_limit(state_->context, kHeapLimitKiB);
  pcre2_jit_stack_assign(state_->context, nullptr, state_->stack);
}

RegexScratch::~RegexScratch() = default;

void Regex::Free::operator()(pcre2_real_code_8* code) const { pcre2_code_free(code); }

Regex::Regex(const std::string& pattern) : pattern_(pattern) {
  int error = 0;
  size_t offset = 0;
  code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                            PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                            &error, &offset, nullptr));
  if (!code_) {
    fail(Code::bad_format, "the pre-tokenizer pattern '{}' does not compile: {} at byte {}",
         pattern, message_of(error), offset);
  }
  jit_ = pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE) == 0;
}

bool Regex::find(std::string_view subject, size_t from, RegexScratch& scratch, Span& match) const {
  const RegexScratch::State& state = *scratch.state_;
  const auto* text = reinterpret_cast<PCRE2_SPTR>(subject.data());
  const int result =
      jit_ ? pcre2_jit_match(code_.get(), text, subject.size(), from, 0, state.data, state.context)
           : pcre2_match(code_.get(), text, subject.size(), from, PCRE2_NO_UTF_CHECK, state.data,
                         state.context);
  if (result == PCRE2_ERROR_NOMATCH) return false;
  if (result < 0) {
    fail(Code::limit_exceeded,
         "the pre-tokenizer pattern '{}' needs too many steps for this text ({}); shorten the text",
         pattern_, message_of(result));
  }
  const size_t* offsets = pcre2_get_ovector_pointer(state.data);
  match = {offsets[0], offsets[1]};
  return true;
}

}  // namespace weir
