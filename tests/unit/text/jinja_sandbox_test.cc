// Known ways to break out of a template: each ends in an error or renders nothing of the host.
#include "unit/text/jinja_support.h"

namespace weir::test {
namespace {

TEST(JinjaSandbox, KnownPayloadsReachNothing) {
  const std::vector<std::string> payloads = {
      "{{ ''.__class__.__mro__[1].__subclasses__() }}",
      "{{ "
      "''.__class__.__base__.__subclasses__()[104].__init__.__globals__['sys'].modules['os'].popen("
      "'id').read() }}",
      "{{ [].__class__.__bases__[0].__subclasses__() }}",
      "{{ {}.__class__.__mro__[-1].__subclasses__() }}",
      "{{ ().__class__.__base__.__subclasses__() }}",
      "{{ 1.__class__.__mro__ }}",
      "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
      "{{ joiner.__init__.__globals__.os.popen('id').read() }}",
      "{{ namespace.__init__.__globals__.os.popen('id').read() }}",
      "{{ lipsum.__globals__['os'].popen('id').read() }}",
      "{{ lipsum.__globals__.__builtins__.open('/etc/passwd').read() }}",
      "{{ self.__init__.__globals__.__builtins__.__import__('os').popen('id').read() }}",
      "{{ self._TemplateReference__context.cycler.__init__.__globals__.os.popen('id').read() }}",
      "{{ config.__class__.__init__.__globals__['os'].popen('id').read() }}",
      "{{ request.application.__globals__.__builtins__.__import__('os').popen('id').read() }}",
      "{{ get_flashed_messages.__globals__.__builtins__.open('/etc/passwd').read() }}",
      "{{ ''|attr('__class__')|attr('__mro__')|attr('__getitem__')(1)|attr('__subclasses__')() }}",
      "{{ "
      "''|attr('\\x5f\\x5fclass\\x5f\\x5f')|attr('\\x5f\\x5fbase\\x5f\\x5f')|attr('"
      "\\x5f\\x5fsubclasses\\x5f\\x5f')() }}",
      "{{ ''['__class__']['__mro__'][1]['__subclasses__']() }}",
      "{{ ''['\\x5f\\x5fclass\\x5f\\x5f']['__mro__'] }}",
      "{{ ''[['__cl','ass__']|join]['__mro__'] }}",
      "{{ dict.mro()[-1].__subclasses__() }}",
      "{{ '{0.__class__.__mro__}'.format('') }}",
      "{{ '{0.__class__.__init__.__globals__}'.format(cycler) }}",
      "{{ '{x.__class__.__mro__}'.format_map({'x': ''}) }}",
      "{{ '%s'|format(''.__class__.__mro__) }}",
      "{{ ['']|map(attribute='__class__.__mro__')|list }}",
      "{{ ['x']|map('attr', '__class__')|map('attr', '__mro__')|first|first }}",
      "{{ ''.__class__.__mro__|last }}",
      "{{ messages|selectattr('__class__.__mro__')|list }}",
      "{{ [cycler]|groupby('__init__.__globals__')|list }}",
      "{{ [1]|sort(attribute='__class__.__mro__') }}",
      "{{ range.__self__.__import__('os') }}",
      "{{ ''.join.__self__.__class__.__mro__ }}",
      "{{ raise_exception.__globals__['os'].system('id') }}",
      "{{ strftime_now.__self__.__class__.__mro__ }}",
      "{% macro m() %}{% endmacro %}{{ m._func.__globals__['os'] }}",
      "{% macro m() %}{% endmacro %}{{ m.__init__.__globals__ }}",
      "{% macro m() %}{% endmacro %}{{ m._environment.globals }}",
      "{% for i in [1] %}{{ loop._iterator.__class__.__mro__ }}{% endfor %}",
      "{% for i in [1] %}{{ loop.__init__.__globals__ }}{% endfor %}",
      "{% set ns = namespace() %}{{ ns.__class__.__init__.__globals__ }}",
      "{{ ([]|map('upper')).gi_frame.f_globals }}",
      "{{ ([]|map('upper')).gi_code.co_consts[0] }}",
      "{% include '/etc/passwd' %}",
      "{% import 'os' as os %}{{ os.popen('id') }}",
      "{% from 'os' import popen %}{{ popen('id') }}",
      "{% extends '/etc/passwd' %}",
      "{{ open('/etc/passwd').read() }}",
      "{{ eval('1') }}",
      "{{ __import__('os').system('id') }}",
      "{{ url_for.__globals__ }}",
      "{{ environment.loader }}",
      "{{ messages.append({'role': 'x'}) }}",
      "{{ messages[0].update({'role': 'x'}) }}",
      "{{ messages[0].pop('role') }}",
      "{% do messages.clear() %}",
  };
  const Json context = {{"messages", {{{"role", "user"}, {"content", "hi"}}}}};
  for (const std::string& payload : payloads) {
    SCOPED_TRACE(payload);
    const Outcome out = render(payload, context);
    if (!out.error.empty()) continue;
    EXPECT_THAT(out.text, testing::AnyOf("", "[]"));
  }
}

TEST(JinjaSandbox, ValuesAreNeverTemplates) {
  const Json context = {{"content", "{{ 7 * 7 }}{% raw %}{{ cycler.__init__ }}"}};
  EXPECT_EQ(
      render("{{ content }}|{{ content|trim }}|{{ '%s' % content }}|{{ content.format }}", context)
          .text.substr(0, 41),
      "{{ 7 * 7 }}{% raw %}{{ cycler.__init__ }}");
}

}  // namespace
}  // namespace weir::test
