// Hostile templates: each ends in an error after bounded CPU time and memory, and on a small stack.
// A bomb runs in a child process, so that its time and peak memory are its own.
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "support/clock.h"
#include "unit/text/jinja_support.h"

namespace weir::test {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
constexpr bool kSanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool kSanitized = false;
#endif

constexpr std::size_t kThreadStack = 256u << 10;

std::string repeated(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

struct Bomb {
  std::string name;
  std::string source;
};

std::vector<Bomb> bombs() {
  const std::string sized = "{% set ns = namespace(v='x') %}";
  return {
      {"huge range", "{% for i in range(10**9) %}x{% endfor %}"},
      {"huge repeat", "{{ 'x' * 10**9 }}"},
      {"huge repeat of a list", "{{ ([0] * 10**9)|length }}"},
      {"25 000 squared",
       "{% for i in range(25000) %}{% for j in range(25000) %}x{% endfor %}{% endfor %}"},
      {"macro calls itself", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"},
      {"macros call each other",
       "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}"},
      {"macro doubles", "{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}"},
      {"recursive loop", "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}"},
      {"caller nests",
       "{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{% endmacro %}{% call f() %}x{% "
       "endcall %}"},
      {"150 parentheses", "{{ " + repeated("(", 150) + "1" + repeated(")", 150) + " }}"},
      {"100 000 parentheses", "{{ " + repeated("(", 100'000)},
      {"deep list", "{{ " + repeated("[", 10'000) + repeated("]", 10'000) + " }}"},
      {"deep dict", "{{ " + repeated("{1:", 10'000)},
      {"many nots", "{{ " + repeated("not ", 100'000) + "1 }}"},
      {"many minuses", "{{ " + repeated("- ", 100'000) + "1 }}"},
      {"many conditions", "{{ " + repeated("1 if 0 else ", 50'000) + "1 }}"},
      {"many filters", "{{ 'a'" + repeated("|trim", 100'000) + " }}"},
      {"many attributes", "{{ a" + repeated(".b", 100'000) + " }}"},
      {"many subscripts", "{{ a" + repeated("[0]", 100'000) + " }}"},
      {"many calls", "{{ a" + repeated("()", 100'000) + " }}"},
      {"deep ifs", repeated("{% if 1 %}", 50'000)},
      {"deep tuple target", "{% for " + repeated("(", 50'000)},
      {"doubling text", sized + "{% for i in range(60) %}{% set ns.v = ns.v + ns.v %}{% endfor %}"},
      {"doubling by ~", sized + "{% for i in range(60) %}{% set ns.v = ns.v ~ ns.v %}{% endfor %}"},
      {"doubling list",
       "{% set ns = namespace(v=[1]) %}{% for i in range(60) %}{% set ns.v = ns.v + ns.v %}{% "
       "endfor %}"},
      {"list of large texts",
       "{% set ns = namespace(v=[]) %}{% for i in range(99999) %}{% set ns.v = ns.v + ['x' * "
       "10000000] %}{% endfor %}"},
      {"nested values",
       "{% set ns = namespace(v=[]) %}{% for i in range(99999) %}{% set ns.v = [ns.v] %}{% endfor "
       "%}{{ ns.v }}"},
      {"shared values doubled",
       "{% set ns = namespace(v=[1]) %}{% for i in range(60) %}{% set ns.v = [ns.v, ns.v] %}{% "
       "endfor %}{{ ns.v }}"},
      {"shared values as JSON",
       "{% set ns = namespace(v=[1]) %}{% for i in range(60) %}{% set ns.v = [ns.v, ns.v] %}{% "
       "endfor %}{{ ns.v|tojson }}"},
      {"shared values compared",
       "{% set a = namespace(v=[1]) %}{% set b = namespace(v=[1]) %}{% for i in range(60) %}{% set "
       "a.v = [a.v, a.v] %}{% set b.v = [b.v, b.v] %}{% endfor %}{{ a.v == b.v }}"},
      {"shared tuples as keys",
       "{% set a = namespace(v=(1,)) %}{% for i in range(60) %}{% set a.v = (a.v, a.v) %}{% endfor "
       "%}{{ {a.v: 1} }}"},
      {"namespace in itself", "{% set ns = namespace() %}{% set ns.v = ns %}{{ ns }}"},
      {"chain of namespaces",
       "{% set ns = namespace(v=1) %}{% for i in range(99999) %}{% for j in range(99) %}{% set "
       "ns.v = namespace(p=ns.v) %}{% endfor %}{% endfor %}"},
      {"chain of loops",
       "{% set ns = namespace(v=1) %}{% for i in range(99999) %}{% for x in [ns.v] %}{% set ns.v = "
       "loop %}{% endfor %}{% endfor %}"},
      {"chain of closures",
       "{% set ns = namespace() %}{% macro m() %}{% set q = ns.m %}{% macro k() %}{{ q }}{% "
       "endmacro %}{% set ns.m = k %}{% endmacro %}{% for i in range(99999) %}{{ m() }}{{ m() }}"
       "{% endfor %}"},
      {"endless output", "{% for i in range(99999) %}{{ 'x' * 100000 }}{% endfor %}"},
      {"endless capture",
       "{% set a %}{% for i in range(99999) %}{{ 'x' * 100000 }}{% endfor %}{% endset %}"},
      {"replace explodes", "{{ ('a' * 100000)|replace('a', 'b' * 100000) }}"},
      {"join explodes", "{{ ('a' * 100000)|join('b' * 100000) }}"},
      {"center explodes", "{{ 'a'.center(10**12) }}"},
      {"zfill explodes", "{{ 'a'.zfill(10**12) }}"},
      {"format explodes", "{{ '%999999999d' % 1 }}"},
      {"brace format explodes", "{{ '{:999999999}'.format(1) }}"},
      {"indent explodes", "{{ ('a\n' * 100000)|indent(100000) }}"},
      {"tojson indent explodes", "{{ [[1]]|tojson(indent=10**12) }}"},
      {"tojson separators explode",
       "{{ (range(99999)|list)|tojson(separators=('x' * 10000, 'y')) }}"},
      {"batch explodes", "{{ [1]|batch(10**12, 'x')|list }}"},
      {"slice explodes", "{{ [1]|slice(10**12)|list }}"},
      {"expandtabs explodes", "{{ ('\t' * 100000).expandtabs(1000000) }}"},
      {"strftime explodes",
       "{% for i in range(99999) %}{{ strftime_now('%999d' * 1000) }}{% endfor %}"},
      {"sort of many", "{% for i in range(99999) %}{{ range(99999)|sort|length }}{% endfor %}"},
      {"split of many",
       "{% for i in range(99999) %}{{ ('a ' * 1000000).split()|length }}{% endfor %}"},
      {"search of many",
       "{% for i in range(99999) %}{{ ('a' * 100000 ~ 'b') in ('a' * 1000000) }}{% endfor %}"},
      {"rfind of many",
       "{% for i in range(99999) %}{{ ('a' * 1000000).rfind('b' ~ 'a' * 100000) }}{% endfor %}"},
      {"strip of many",
       "{% for i in range(99999) %}{{ ('a' * 1000000).strip('b' * 100000 ~ 'a')|length }}{% endfor "
       "%}"},
      {"upper of many",
       "{% for i in range(99999) %}{{ ('é' * 1000000)|upper|length }}{% endfor %}"},
      {"index by code point",
       "{% set s = 'é' * 1000000 %}{% for i in range(99999) %}{{ s[999999] }}{% endfor %}"},
      {"slices by code point",
       "{% set s = 'é' * 1000000 %}{% for i in range(99999) %}{{ s[::-2]|length }}{% endfor %}"},
      {"groupby of many",
       "{{ range(99999)|groupby('real')|length }}{% for i in range(99999) %}{{ "
       "range(9999)|unique|list|length }}{% endfor %}"},
      {"map of map",
       "{% for i in range(99999) %}{{ range(99999)|map('string')|map('upper')|list|length }}{% "
       "endfor %}"},
      {"dict of many",
       "{% set ns = namespace(d={}) %}{% for i in range(99999) %}{% set ns.d = dict(ns.d, **{'k' ~ "
       "i: i}) %}{% endfor %}"},
      {"namespace of many",
       "{% for i in range(99999) %}{% set ns = "
       "namespace(dict(range(9999)|map('string')|map('list')|batch(2)|list)) %}{% endfor %}"},
      {"cyclers",
       "{% set ns = namespace(v=1) %}{% for i in range(99999) %}{% set ns.v = cycler(ns.v) %}{% "
       "endfor %}"},
      {"large power",
       "{% for i in range(99999) %}{{ 2 ** 62 }}{{ 1.0000001 ** 999999999 }}{{ 3 ** 99999999999 "
       "}}{% endfor %}"},
      {"varargs", "{% macro f() %}{{ f(*varargs, *varargs) }}{% endmacro %}{{ f(1) }}"},
      {"star explodes",
       "{% macro f() %}{{ varargs|length }}{% endmacro %}{% for i in range(99999) %}{{ "
       "f(*range(99999)) }}{% endfor %}"},
  };
}

struct Verdict {
  bool failed = false;
  double cpu_seconds = 0;
  long extra_kib = 0;
};

// Runs in a child: exit code 0 if it ended in an Error, 1 if it rendered.
Verdict run_bomb(const std::string& source) {
  rusage before{};
  getrusage(RUSAGE_SELF, &before);
  const pid_t child = fork();
  if (child == 0) {
    const Outcome out = render(source, {});
    _exit(out.error.empty() ? 1 : 0);
  }
  int status = 0;
  rusage usage{};
  wait4(child, &status, 0, &usage);
  Verdict out;
  out.failed = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  out.cpu_seconds = static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                    1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
  out.extra_kib = usage.ru_maxrss - before.ru_maxrss;
  return out;
}

TEST(JinjaLimits, BombsEndInAnErrorSoonAndSmall) {
  for (const Bomb& bomb : bombs()) {
    const Verdict verdict = run_bomb(bomb.source);
    EXPECT_TRUE(verdict.failed) << bomb.name;
    if (kSanitized) continue;
    EXPECT_LE(verdict.cpu_seconds, allowed_seconds(0.5)) << bomb.name;
    EXPECT_LE(verdict.extra_kib, 64 * 1024) << bomb.name;
  }
}

struct Job {
  const std::string* source;
  Outcome out;
};

void* run_job(void* argument) {
  Job& job = *static_cast<Job*>(argument);
  job.out = render(*job.source, {});
  return nullptr;
}

Outcome on_small_stack(const std::string& source) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kThreadStack);
  Job job{&source, {}};
  pthread_t thread{};
  EXPECT_EQ(pthread_create(&thread, &attributes, run_job, &job), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  return job.out;
}

TEST(JinjaLimits, NoBombNeedsMoreThanASmallStack) {
  if (kSanitized) GTEST_SKIP() << "sanitizers make stack frames several times larger";
  for (const Bomb& bomb : bombs()) {
    EXPECT_NE(on_small_stack(bomb.source).error, "") << bomb.name;
  }
}

TEST(JinjaLimits, TheDeepestAllowedFitsOnASmallStack) {
  if (kSanitized) GTEST_SKIP() << "sanitizers make stack frames several times larger";
  // The widest frames, nested as deep as the limits allow: each must end, most with a limit error.
  const std::vector<std::string> sources = {
      "{{ " + repeated("(", 60) + "1" + repeated(")", 60) + " }}",
      "{{ " + repeated("[", 60) + "1" + repeated("]", 60) + "|tojson }}",
      "{{ " + repeated("{1:", 60) + "1" + repeated("}", 60) + " }}",
      "{{ " + repeated("'a'.replace(", 50) + "'a'" + repeated(",'b')", 50) + " }}",
      repeated("{% if 1 %}{% for i in [1] %}", 30) + "x" + repeated("{% endfor %}{% endif %}", 30),
      repeated("{% filter upper %}{% set q %}", 30) + "x" +
          repeated("{% endset %}{% endfilter %}", 30),
      "{% macro f(n) %}{% if n %}{% for i in [1] %}{% filter upper %}{{ [[('a' ~ f(n - "
      "1))]|map('first')|list]|first|join }}"
      "{% endfilter %}{% endfor %}{% endif %}{% endmacro %}{{ f(60) }}",
      "{% macro f(n) %}{% call f(n) %}{{ (((caller()|trim)|upper)[0:5])|replace('a', ('b' ~ "
      "caller())) }}{% endcall %}{% endmacro %}{{ f(1) }}",
      "{% for i in [1] recursive %}{% with a = 1 %}{% if a %}{{ ((loop([[1]])|trim) ~ 'x')|indent "
      "}}{% endif %}{% endwith %}{% endfor %}",
      "{% macro f(n, m=n) %}{{ f(n, m=f(n)) }}{% endmacro %}{{ f(1) }}",
  };
  for (const std::string& source : sources) on_small_stack(source);
}

TEST(JinjaLimits, MessagesNameLineConstructAndLimit) {
  const Outcome steps =
      render("a\n{% for i in range(99999) %}{{ range(99999)|sum }}{% endfor %}", {});
  EXPECT_EQ(steps.code, Code::limit_exceeded);
  EXPECT_THAT(steps.error, testing::AllOf(testing::HasSubstr("line 2, filter 'sum'"),
                                          testing::HasSubstr("1000000 steps")));
  const Outcome depth = render("\n\n{{ " + repeated("(", 70), {});
  EXPECT_EQ(depth.code, Code::bad_format);  // the brackets never close
  const Outcome closed = render("\n\n{{ " + repeated("(", 70) + "1" + repeated(")", 70) + "}}", {});
  EXPECT_EQ(closed.code, Code::limit_exceeded);
  EXPECT_THAT(closed.error, testing::HasSubstr("line 3: nested deeper than the limit of 64"));
  const Outcome output =
      render("{% for i in range(10) %}{{ 'x' * 100 }}{% endfor %}", {}, {.output = 500});
  EXPECT_EQ(output.code, Code::limit_exceeded);
  EXPECT_THAT(output.error, testing::HasSubstr("longer than 500 bytes"));
  const Outcome refused = render("a\n{{ raise_exception('no system role') }}", {});
  EXPECT_EQ(refused.code, Code::invalid_argument);
  EXPECT_THAT(refused.error, testing::HasSubstr("line 2, call of 'raise_exception': TemplateError: "
                                                "no system role"));
}

TEST(JinjaLimits, LargeHonestInputIsNoBomb) {
  const std::string large(8u << 20, 'a');
  Json messages = Json::array();
  for (int i = 0; i < 500; ++i) messages.push_back({{"role", "user"}, {"content", "hello there"}});
  messages.push_back({{"role", "user"}, {"content", large}});
  const Outcome out = render(
      "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content|trim + "
      "'<|im_end|>\\n' }}{% endfor %}",
      {{"messages", messages}});
  EXPECT_EQ(out.error, "");
  EXPECT_GT(out.text.size(), large.size());
  EXPECT_LT(out.steps, 200'000u);
}

}  // namespace
}  // namespace weir::test
