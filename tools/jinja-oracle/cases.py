"""Templates of our own for the oracle: every operator, filter, test, method and statement that chat
templates may use, with the errors. A case is a template, or (template, more context)."""

CONTEXT = {
    "n": 7,
    "x": 3.5,
    "s": "Hello, World",
    "u": "naïve – 日本語 🙂",
    "e": "",
    "t": True,
    "f": False,
    "z": None,
    "l": [3, 1, 2],
    "w": ["b", "A", "c", "B"],
    "m": [[1, 2], [3, 4]],
    "d": {"b": 2, "a": 1, "C": 3},
    "deep": {"a": {"b": [{"c": "found"}]}},
    "users": [
        {"name": "Ann", "age": 30, "active": True, "city": {"name": "Rome"}},
        {"name": "bob", "age": 25, "active": False, "city": {"name": "Oslo"}},
        {"name": "Cid", "age": 30, "active": True, "city": {"name": "Bern"}},
    ],
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi <|im_end|> there"},
        {"role": "assistant", "content": "  Hello!  "},
    ],
    "markup": "<a href='x'>&\"</a>",
    "lines": "one\n  two\n\nthree\r\nfour",
    "mixed": [1, "a", None, True, 2.0, [1], {"k": "v"}, []],
    "quotes": ["it's", 'say "x"', "both ' and \"", "tab\there", "nl\n", "back\\slash", "\x00\x7f\u00a0é"],
}

LITERALS = """
{{ 1 }} {{ -1 }} {{ 1_000 }} {{ 0x1F }} {{ 0o17 }} {{ 0b101 }} {{ 1.5 }} {{ 1e3 }} {{ 1.5e-7 }}
{{ 1e16 }} {{ 1e15 }} {{ 123456789012345680.0 }} {{ 0.1 + 0.2 }} {{ 1/3 }} {{ 1e-5 }} {{ 0.0001 }}
{{ 1e308 * 10 }} {{ -(1e308 * 10) }} {{ 100.0 }} {{ -0.0 }} {{ 2.5e22 }} {{ 5e-324 }} {{ 1.7976931348623157e308 }}
{{ 'a' "b" 'c' }} {{ 'it\\'s' }} {{ "\\n\\t\\\\|\\x41|\\u00e9|\\101|\\q" }} {{ "\\U0001F642" }}
{{ true }} {{ True }} {{ false }} {{ none }} {{ None }} {{ [] }} {{ {} }} {{ () }} {{ (1,) }} {{ (1, 2) }} {{ 1, 2 }}
{{ [1, 'a', none, true, 2.5, [1, [2]], {'k': ('v',)}] }}
{{ {'a': 1, 2: 'b', none: 3, true: 4, 1.5: 5, (1, 2): 6} }}
{{ {1: 'a', 1.0: 'b', true: 'c'} }}
{{ {'a': 1, 'a': 2} }}
{{ quotes }}
{{ mixed }}
{{ u }} {{ [u] }}
{{ ['\\u200b', '\\u00ad', '\\ue000', '\\u2028', '\\U0001F642', '\\x1b'] }}
{{ [1,2,] }} {{ {'a':1,} }}
""".strip().split("\n")

OPERATORS = """
{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7 / 2 }} {{ 4 / 2 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 2 ** 3 ** 2 }} {{ -2 ** 2 }}
{{ 7.5 // 2 }} {{ -7.5 // 2 }} {{ 7.5 % 2 }} {{ -7.5 % 2 }} {{ 7.5 % -2 }} {{ 0.0 // 5 }} {{ 2.0 ** 0.5 }} {{ 1e3 % 7 }}
{{ 1 + 2 * 3 - 4 / 2 }} {{ (1 + 2) * 3 }} {{ 1 - 2 - 3 }} {{ 2 * 3 % 4 }} {{ 'a' ~ 1 * 2 ~ 'b' }}
{{ 1 + 1 ~ 2 + 2 }}
{{ true + true }} {{ true * 3 }} {{ 5 - true }} {{ -true }} {{ +false }} {{ true / 2 }}
{{ 'ab' * 3 }} {{ 3 * 'ab' }} {{ 'ab' * -1 }}| {{ [1, 2] * 2 }} {{ (1,) * 3 }} {{ 'x' * true }}
{{ 'a' + 'b' }} {{ [1] + [2] }} {{ (1,) + (2,) }} {{ 'a' ~ none ~ true ~ 1.0 ~ [1] }} {{ undefined_name ~ 'x' }}
{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 == 1.0 == true }} {{ 3 > 2 >= 2 != 3 }} {{ 1 < 2 == true }}
{{ 'a' < 'b' }} {{ 'a' < 'B' }} {{ [1, 2] < [1, 3] }} {{ (1,) < (1, 0) }} {{ 'é' > 'z' }} {{ [] == [] }} {{ {} == {} }} {{ {'a': 1} == {'a': 1.0} }}
{{ 1 == '1' }} {{ none == false }} {{ [1] == (1,) }} {{ missing == missing2 }} {{ missing == none }} {{ missing != 1 }}
{{ 'ell' in s }} {{ 'x' in s }} {{ '' in '' }} {{ 1 in l }} {{ 9 not in l }} {{ 'a' in d }} {{ 1 in d }} {{ 1 in d.values() }} {{ ('a', 1) in d.items() }} {{ 3 in range(5) }} {{ 3.0 in range(5) }} {{ 1 in missing }} {{ [1] in [[1]] }}
{{ not 1 }} {{ not not 1 }} {{ not [] }} {{ not none and true }} {{ not 1 == 2 }} {{ not 'a' in 'abc' }}
{{ 1 and 2 }} {{ 0 and 2 }} {{ 0 or '' or 'x' }} {{ none or [] }} {{ 1 or missing.foo }} {{ 0 and missing.foo }} {{ 1 and 0 or 2 }}
{{ 'yes' if t else 'no' }} {{ 'yes' if f else 'no' }} {{ 'yes' if f }}| {{ 'a' if f else 'b' if f else 'c' }} {{ (1 if t else 2) + 1 }}
{{ ('a' if f) is defined }}
{{ 'a' if t else missing.x }}
{{ -n }} {{ +n }} {{ - -n }} {{ -x }} {{ -n|abs }} {{ -5|abs }} {{ (-5)|abs }} {{ -3 ** 2 }}
{{ 10 ** 18 }} {{ 3 ** 39 }} {{ 9223372036854775807 }} {{ -9223372036854775807 }}
{{ 1 if 1 if 0 else 1 else 2 }}
{{ n is number and n > 5 }} {{ n > 5 is true }} {{ not n is string }} {{ n is not string }}
{{ '%s is %d years, %.2f, %5s|%-5s|%05d|%x|%X|%o|%e|%g|%%|%r|%c' % ('Al', 42, 3.14159, 'ab', 'ab', 42, 255, 255, 8, 12345.678, 0.00001, 'q', 'z') }}
{{ '%(a)s-%(b)s' % {'a': 1, 'b': [2]} }} {{ '%s' % 'x' }} {{ '%s' % [1, 2] }} {{ '%s' % none }} {{ '%+d % d %+.1f' % (5, 5, 2.25) }} {{ '%*d|%.*f' % (5, 42, 2, 3.14159) }}
{{ '%s %s' % (1,) }}
{{ '%d' % 'a' }}
{{ '%s' % (1, 2) }}
{{ '%q' % 1 }}
{{ '%i %u %#x %#o' % (3.99, 7, 255, 8) }} {{ '%5.1f|%-8.3e|%G' % (2.25, 12345.678, 1e-10) }} {{ '%.3s|%5.2s|' % ('abcdef', 'xyz') }} {{ '%c' % 65 }}
{{ 1 / 0 }}
{{ 1 // 0 }}
{{ 1 % 0 }}
{{ 1.0 / 0 }}
{{ 1.0 % 0 }}
{{ 0 ** -1 }}
{{ 'a' + 1 }}
{{ 1 + 'a' }}
{{ [1] + (2,) }}
{{ none + 1 }}
{{ 'a' * 'b' }}
{{ 'a' * 1.5 }}
{{ 'a' - 'b' }}
{{ -'a' }}
{{ +none }}
{{ {} + {} }}
{{ 1 < 'a' }}
{{ none < 1 }}
{{ [1] < ['a'] }}
{{ {} < {} }}
{{ 1 in 5 }}
{{ 1 in 'abc' }}
{{ [] in {} }}
{{ missing + 1 }}
{{ 1 + missing }}
{{ 'a' + missing }}
{{ missing < 1 }}
{{ -missing }}
{{ missing.foo }}
{{ missing['foo'] }}
{{ missing() }}
{{ missing.foo.bar }}
{{ d.nope }}|{{ d['nope'] }}|{{ l[99] }}|{{ s[99] }}|{{ n.foo }}|{{ none.foo }}|{{ d.nope is defined }}
{{ d.nope.deeper }}
{{ l[99].deeper }}
{{ l.foo.bar }}
{{ z.foo.bar }}
{{ s.foo.bar }}
{{ 5() }}
{{ 'abc'() }}
{{ none() }}
{{ {[1]: 2} }}
{{ {{}: 2} }}
""".strip().split("\n")

ACCESS = """
{{ s[0] }} {{ s[-1] }} {{ s[1:3] }} {{ s[:-3] }} {{ s[::-1] }} {{ s[::2] }} {{ s[-3:] }} {{ s[10:2:-2] }} {{ s[5:1] }}| {{ s[100:] }}| {{ s[:100] }} {{ s[-100:3] }}
{{ u[3] }} {{ u[-1] }} {{ u[8:11] }} {{ u[::-1] }} {{ u|length }} {{ u[::3] }} {{ u[2:3] }}
{{ l[0] }} {{ l[-1] }} {{ l[1:] }} {{ l[:-1] }} {{ l[::-1] }} {{ l[5:] }} {{ (1, 2, 3)[1:] }} {{ range(10)[2:8:2]|list }} {{ range(10)[-1] }} {{ range(5)[::-1]|list }} {{ l[none:2] }} {{ l[true] }}
{{ l.0 }} {{ m.1.0 }} {{ m[1][0] }} {{ deep.a.b[0].c }} {{ deep['a']['b'][0]['c'] }} {{ deep.a['b'].0.c }}
{{ d.items()|list }} {{ d.keys()|list }} {{ d.values()|list }} {{ d.get('a') }} {{ d.get('q') }} {{ d.get('q', 5) }} {{ d.items() }} {{ d.keys() }} {{ d.values() }}
{{ {'items': 5}.items is callable }} {{ {'items': 5}['items'] }} {{ {'get': 1}['get'] }}
{{ l['count'](1) }} {{ s['upper']() }} {{ l.index(2) }} {{ l.count(9) }} {{ (1, 2, 1).count(1) }} {{ (1, 2).index(2) }}
{{ l['x'] }}|{{ l[1.5] }}|{{ s['x'] }}|{{ d[1] }}|{{ n[0] }}
{{ d|attr('items') is callable }} {{ d|attr('a') is defined }} {{ users[0]|attr('name') }}|
{{ l[0:2][0] }} {{ 'abc'[1]|upper }} {{ 'abc'.upper()[0] }} {{ ('abc'|upper)[0] }} {{ [1,2][0] }} {{ {'a': 1}['a'] }} {{ {'a': 1}.a }}
{{ z[1:] }}
{{ n[1:] }}
{{ l['a':] }}
{{ l[::0] }}
{{ d[1:2] }}
{{ d.items()[0] }}|{{ (d.items()|list)[0] }}
{{ d.items()[0:1] }}
{{ l.index(99) }}
{{ l.append(4) }}
{{ l.append }}|{{ l.append is defined }}
{{ l.sort() }}
{{ l.insert(0, 1) }}
{{ l.extend([1]) }}
{{ l.remove(1) }}
{{ l.reverse() }}
{{ d.update({'x': 1}) }}
{{ d.pop('a') }}
{{ d.setdefault('a', 1) }}
{{ d.clear() }}
{{ d.popitem() }}
{{ ''.__class__ }}|
{{ ''.__class__.__mro__ }}
{{ ''.__class__.__mro__[1].__subclasses__() }}
{{ [].__class__.__base__ }}
{{ ().__class__.__bases__[0].__subclasses__() }}
{{ cycler.__init__.__globals__.os.popen('id').read() }}
{{ joiner.__init__.__globals__ }}
{{ namespace.__init__.__globals__ }}
{{ range.__class__ }}|
{{ self.__init__ }}|
{{ raise_exception.__globals__ }}|
{{ raise_exception.__globals__['os'] }}
{{ ''|attr('__class__') }}|
{{ ''|attr('__class__')|attr('__mro__') }}
{{ ''['__class__'] }}|
{{ ''['__class__']['__mro__'] }}
{{ d.__class__.__name__ }}
{{ (1).__class__.__base__ }}
{{ x.__doc__.foo }}
{{ missing.__class__ }}|
{{ missing.__class__.__mro__ }}
{{ '{0.__class__.__mro__}'.format('') }}
{{ '{0.__class__}'.format('') }}|
{{ '{x[__class__]}'.format(x='') }}|
{{ '%s'|format(''.__class__) }}|
{{ [''.__class__]|map(attribute='__mro__')|list }}
{{ messages|map(attribute='__class__')|list|length }}
{{ lipsum.__globals__ }}
{% set a = ''.__class__ %}{{ a is defined }}
{% for c in ''.__class__.__mro__ %}{% endfor %}
{% macro q() %}{% endmacro %}{{ q.__class__ }}|{{ q.__globals__ }}|
{% macro q() %}{% endmacro %}{{ q.__init__.__globals__ }}
{% for i in [1] %}{{ loop.__class__.__mro__ }}{% endfor %}
""".strip().split("\n")

METHODS = """
{{ '  a b  '.strip() }}| {{ '  a b  '.lstrip() }}| {{ '  a b  '.rstrip() }}| {{ 'xxaxx'.strip('x') }} {{ 'xyaxy'.lstrip('yx') }} {{ 'abcabc'.rstrip('cb') }} {{ '\\u3000a\\u00a0'.strip() }}|
{{ 'a,b,,c'.split(',') }} {{ ' a  b c '.split() }} {{ 'a,b,c'.split(',', 1) }} {{ 'a b c'.split(none, 1) }} {{ ''.split() }} {{ ''.split(',') }} {{ 'a-b-c'.rsplit('-', 1) }} {{ ' a b  c '.rsplit(none, 1) }}
{{ 'abc'.split('') }}
{{ 'a b c '.split(none, 2) }} {{ ' a b c'.rsplit(none, 2) }} {{ 'aXbXc'.split(sep='X', maxsplit=1) }} {{ 'aaa'.split('a') }} {{ 'aaa'.rsplit('aa') }} {{ 'x'.split('x') }}
{{ 'Hello'.startswith('He') }} {{ 'Hello'.endswith(('x', 'lo')) }} {{ 'Hello'.startswith('l', 2) }} {{ 'Hello'.startswith('') }} {{ 'Hello'.endswith('ell', 0, 4) }} {{ ''.startswith('', 1) }}
{{ 'aXbXc'.replace('X', '-') }} {{ 'aXbXc'.replace('X', '-', 1) }} {{ 'abc'.replace('', '.') }} {{ ''.replace('', 'x') }} {{ 'abc'.replace('b', '') }} {{ 'aaa'.replace('aa', 'b') }} {{ 'abc'.replace('', '.', 2) }}
{{ 'hELLO wORLD'.upper() }} {{ 'hELLO wORLD'.lower() }} {{ 'hELLO wORLD'.title() }} {{ 'hELLO wORLD'.capitalize() }} {{ 'hELLO'.swapcase() }} {{ 'straße ΟΔΟΣ ÉTÉ'.upper() }} {{ 'straße ΟΔΟΣ ÉTÉ'.lower() }} {{ "they're bill's".title() }} {{ 'ǆ ﬁ'.title() }} {{ 'ß'.capitalize() }} {{ 'İ'.lower()|length }}
{{ 'abcabc'.find('c') }} {{ 'abcabc'.rfind('c') }} {{ 'abc'.find('z') }} {{ 'abcabc'.find('c', 3) }} {{ 'abcabc'.count('a') }} {{ 'aaa'.count('aa') }} {{ 'abc'.count('') }} {{ 'abc'.index('b') }} {{ 'abcabc'.rindex('b') }} {{ u.find('語') }} {{ u.rfind('日') }} {{ 'abc'.find('') }} {{ 'abc'.find('c', 0, 2) }} {{ 'abcabc'.count('a', 1) }} {{ 'abc'.find('a', -1) }}
{{ 'abc'.index('z') }}
{{ '-'.join(['a', 'b']) }} {{ ''.join([]) }}| {{ ', '.join(d) }} {{ '-'.join('abc') }} {{ '.'.join(('x',)) }}
{{ '-'.join([1, 2]) }}
{{ '-'.join(5) }}
{{ 'abc'.isalpha() }} {{ 'ab1'.isalnum() }} {{ '12'.isdigit() }} {{ '1.2'.isdigit() }} {{ ''.isdigit() }} {{ 'a b'.isspace() }} {{ ' \\t'.isspace() }} {{ 'abc'.islower() }} {{ 'ABC1'.isupper() }} {{ 'Ab Cd'.istitle() }} {{ '²'.isdigit() }} {{ '²'.isdecimal() }} {{ '½'.isnumeric() }} {{ 'é日'.isalpha() }} {{ 'a_1'.isidentifier() }} {{ '1a'.isidentifier() }} {{ ''.isidentifier() }} {{ 'é'.isascii() }} {{ ''.isascii() }} {{ 'a\\n'.isprintable() }} {{ ''.isprintable() }}
{{ 'a\\nb\\r\\nc\\n'.splitlines() }} {{ 'a\\nb'.splitlines(true) }} {{ ''.splitlines() }} {{ lines.splitlines() }} {{ 'a\\x0cb\\u2028c'.splitlines() }}
{{ 'ab'.center(7) }}| {{ 'ab'.center(7, '*') }} {{ 'abc'.center(6, '.') }} {{ 'ab'.ljust(5, '.') }} {{ 'ab'.rjust(5, '.') }} {{ '42'.zfill(5) }} {{ '-42'.zfill(5) }} {{ 'abc'.center(2) }}
{{ 'a-b-c'.partition('-') }} {{ 'a-b-c'.rpartition('-') }} {{ 'abc'.partition('x') }} {{ 'abc'.rpartition('x') }}
{{ 'prefix-x'.removeprefix('prefix-') }} {{ 'x.py'.removesuffix('.py') }} {{ 'abc'.removeprefix('z') }} {{ 'a\\tb'.expandtabs(4) }} {{ 'a\\tbc\\td'.expandtabs() }}
{{ '{} {}'.format(1, 'a') }} {{ '{1} {0}'.format('a', 'b') }} {{ '{a} {b.name}'.format(a=1, b=users[0]) }} {{ '{0[name]}'.format(users[0]) }} {{ '{{}} {}'.format(1) }} {{ '{!r}'.format('q') }} {{ '{0[1]}'.format(l) }}
{{ '{:>5}|{:<5}|{:^5}|{:*^7}'.format('a', 'b', 'c', 'd') }} {{ '{:05d}|{:+d}|{:,}|{:x}|{:#x}|{:b}|{:_}'.format(42, 5, 1234567, 255, 255, 5, 1234567) }} {{ '{:.2f}|{:8.3f}|{:e}|{:g}|{:%}|{:.0f}'.format(3.14159, 2.5, 12345.678, 0.0001, 0.25, 2.5) }} {{ '{:.3}|{:10.2}|'.format('abcdef', 'xyz') }} {{ '{}'.format(none) }} {{ '{:>6}'.format(true) }} {{ '{:,.2f}'.format(1234567.891) }}
{{ '{} {}'.format(1) }}
{{ '{a}'.format() }}
{{ '{'.format() }}
{{ '}'.format() }}
{{ '{:d}'.format('a') }}
{{ 'abc'.nope() }}
{{ 'abc'.upper(1) }}
{{ 'a'.replace('a') }}
{{ 'a'.replace(old='a', new='b') }}
{{ 'a'.startswith(1) }}
{{ 'a'.join() }}
{{ 'a'.strip(1) }}
{{ 'a'.split(1) }}
{{ 'ab'.center('x') }}
{{ d.get() }}
{{ d.items(1) }}
{{ d.keys()|length }} {{ d.values()|sum }} {{ d.copy() }} {{ l.copy() }} {{ (2.0).is_integer() }} {{ (2.5).is_integer() }}
{{ d.get([]) }}
""".strip().split("\n")

FILTERS = """
{{ -3|abs }} {{ -2.5|abs }} {{ true|abs }} {{ 'abc'|capitalize }} {{ 'ABC dEF'|capitalize }} {{ 'ab'|center(6) }}| {{ 'a'|center }}|
{{ 'a'|abs }}
{{ missing|default('x') }} {{ missing|d('x') }} {{ e|default('x') }}| {{ e|default('x', true) }} {{ z|default('x') }} {{ z|default('x', boolean=true) }} {{ missing|default }}| {{ d.q|default({}) }} {{ 0|d(5, true) }}
{{ missing.x|default('y') }}
{{ d|dictsort }} {{ d|dictsort(true) }} {{ d|dictsort(by='value') }} {{ d|dictsort(reverse=true) }} {{ d|dictsort(false, 'value', true) }} {{ {}|dictsort }}
{{ l|dictsort }}
{{ d|dictsort(by='nope') }}
{{ markup|e }} {{ markup|escape }} {{ markup|e|e }} {{ markup|forceescape|forceescape }} {{ 5|e }} {{ none|e }} {{ [markup]|e }}
{{ 1|filesizeformat }} {{ 999|filesizeformat }} {{ 1000|filesizeformat }} {{ 1500000|filesizeformat }} {{ 1024|filesizeformat(true) }} {{ 123456789|filesizeformat(binary=true) }} {{ 0|filesizeformat }} {{ '5000'|filesizeformat }}
{{ l|first }} {{ l|last }} {{ ''|first }}| {{ []|last }}| {{ 'abc'|first }} {{ 'abc'|last }} {{ d|first }} {{ d|last }} {{ d.items()|first }} {{ range(5)|last }} {{ []|first is defined }}
{{ 5|first }}
{{ (l|map('string'))|last }}
{{ '3.7'|float }} {{ 'x'|float }} {{ 'x'|float(1.5) }} {{ 3|float }} {{ '1e3'|float }} {{ ' 2.5 '|float }} {{ '1_000.5'|float }} {{ 'inf'|float }} {{ 'nan'|float }} {{ '-Infinity'|float }} {{ none|float }} {{ true|float }} {{ '0x10'|float }} {{ '1_'|float }}
{{ '42'|int }} {{ '42.9'|int }} {{ 'x'|int }} {{ 'x'|int(7) }} {{ 3.9|int }} {{ -3.9|int }} {{ '0x1f'|int(base=16) }} {{ '1f'|int(0, 16) }} {{ ' 12 '|int }} {{ '1_000'|int }} {{ none|int }} {{ true|int }} {{ '-7'|int }} {{ '0b11'|int(base=0) }} {{ '1e3'|int }} {{ ''|int }} {{ '+5'|int }}
{{ missing|int }}
{{ missing|float }}
{{ '%s, %s'|format(1, 'b') }} {{ '%(a)s'|format(a=5) }} {{ '%d%%'|format(50) }}
{{ users|groupby('age') }}
{% for g in users|groupby('age') %}{{ g.grouper }}:{{ g.list|map(attribute='name')|join('+') }};{% endfor %}
{% for age, list in users|groupby('age') %}{{ age }}={{ list|length }} {% endfor %}
{% for c, list in users|groupby('city.name') %}{{ c }} {% endfor %}{% for c, x in [{'a': 1}, {}]|groupby('a', default=0) %}{{ c }}{{ x }}{% endfor %}
{% for k, v in ['b', 'A', 'a', 'B']|groupby('0') %}{{ k }}{{ v }}{% endfor %}
{{ lines|indent }}
{{ lines|indent(2) }}
{{ lines|indent(2, true) }}
{{ lines|indent(2, first=true, blank=true) }}
{{ lines|indent('> ', true) }}
{{ ''|indent }}|{{ 'a'|indent(first=true) }}|{{ 'a\\n'|indent }}|
{{ 5|indent }}
{{ l|join }} {{ l|join(', ') }} {{ users|join(', ', attribute='name') }} {{ ''|join('-') }}| {{ 'abc'|join('-') }} {{ d|join('-') }} {{ [1, none, 'x', 2.0]|join('|') }} {{ l|join(1) }} {{ missing|join(',') }}| {{ users|join(',', 'city.name') }}
{{ 5|join }}
{{ l|length }} {{ l|count }} {{ s|length }} {{ d|length }} {{ range(5)|length }} {{ missing|length }} {{ (1, 2)|length }}
{{ 5|length }}
{{ none|length }}
{{ (l|map('string'))|length }}
{{ 'abc'|list }} {{ d|list }} {{ range(3)|list }} {{ (1, 2)|list }} {{ missing|list }} {{ d.items()|list }}
{{ 5|list }}
{{ 'ABC'|lower }} {{ 'abc'|upper }} {{ 5|upper }} {{ none|lower }} {{ true|upper }} {{ [1, 'a']|upper }}
{{ d|items|list }} {{ missing|items|list }} {{ {}|items|list }} {% for k, v in d|items %}{{ k }}{{ v }}{% endfor %}
{{ l|items|list }}
{{ 'x'|items }}
{{ users|map(attribute='name')|list }} {{ users|map(attribute='city.name')|join }} {{ users|map(attribute='q', default='-')|list }} {{ l|map('string')|list }} {{ w|map('upper')|list }} {{ l|map('float')|list }} {{ [[3, 1], [2]]|map('sort')|list }} {{ l|map('default', 5)|list }} {{ m|map('first')|list }} {{ m|map(attribute=1)|list }} {{ w|map('replace', 'b', 'X')|list }} {{ []|map('upper')|list }} {{ users|map('attr', 'name')|list|length }}
{{ l|map|list }}
{{ l|map('nope')|list }}
{{ l|map(attribute='a', foo=1)|list }}
{{ l|map(attribute='x')|list }}
{{ l|max }} {{ l|min }} {{ w|max }} {{ w|min }} {{ w|max(case_sensitive=true) }} {{ users|max(attribute='age') }} {{ users|min(attribute='name') }} {{ []|max }}| {{ 'hello'|max }} {{ [1.5, 2]|max }} {{ []|min is defined }}
{{ [1, 'a']|max }}
{{ l|reject('odd')|list }} {{ l|select('odd')|list }} {{ l|select|list }} {{ [0, 1, '', 'a', none]|select|list }} {{ [0, 1, '', 'a']|reject|list }} {{ l|select('>', 1)|list }} {{ l|select('in', [1, 2])|list }} {{ w|select('lower')|list }} {{ l|select('divisibleby', 3)|list }} {{ [1, missing]|select('defined')|list }} {{ mixed|select('string')|list }}
{{ users|selectattr('active')|map(attribute='name')|list }} {{ users|rejectattr('active')|map(attribute='name')|list }} {{ users|selectattr('age', 'equalto', 30)|list|length }} {{ users|selectattr('age', '<', 30)|map(attribute='name')|first }} {{ users|selectattr('q')|list }} {{ users|selectattr('q', 'undefined')|list|length }} {{ users|selectattr('city.name', 'eq', 'Rome')|list|length }} {{ messages|selectattr('role', 'in', ['user', 'system'])|map(attribute='content')|list }} {{ messages|rejectattr('role', 'equalto', 'system')|list|length }}
{{ l|select('nope')|list }}
{{ users|selectattr|list }}
{{ none|select|list }} {{ missing|map('upper')|list }} {{ 0|map('x')|list }}
{{ 5|select|list }}
{{ 'aXbX'|replace('X', '-') }} {{ 'aXbX'|replace('X', '-', 1) }} {{ 5|replace(5, 6) }} {{ 'abc'|replace('b', none) }} {{ markup|safe|replace('<', '[') }}
{{ 'abc'|reverse }} {{ l|reverse|list }} {{ u|reverse }} {{ d|reverse|list }} {{ range(3)|reverse|list }} {{ (l|map('string'))|reverse }} {{ (1, 2)|reverse|list }}
{{ 5|reverse }}
{{ 2.5|round }} {{ 3.5|round }} {{ 2.675|round(2) }} {{ 42.55|round(1, 'floor') }} {{ 42.55|round(1, 'ceil') }} {{ 42|round }} {{ 1234.5|round(-2) }} {{ -2.5|round }} {{ 42|round(1, 'ceil') }} {{ 0.5|round|int }} {{ 1e20|round }} {{ 15|round(-1) }}
{{ 1|round(method='nope') }}
{{ 'a'|round }}
{{ '<b>'|safe }} {{ '<b>'|safe + '<i>' }} {{ '<i>' + '<b>'|safe }} {{ '<i>' ~ '<b>'|safe }} {{ ('<b>'|safe)|upper }} {{ ('<b>'|safe)[0:2] + '<' }} {{ ['<b>'|safe] }} {{ ('%s'|safe) % '<' }} {{ ('{}'|safe).format('<') }} {{ ('<'|safe) * 2 }} {{ ('<b>'|safe)|string + '<' }} {{ '<b>'|safe|e }} {{ ('<'|safe).join(['<', '>']) }} {{ ('a<'|safe).split('<')[0] + '<' }} {{ '<b>'|safe is escaped }} {{ '<b>'|e is string }}
{{ l|sort }} {{ w|sort }} {{ w|sort(case_sensitive=true) }} {{ l|sort(reverse=true) }} {{ w|sort(true, true) }} {{ users|sort(attribute='age')|map(attribute='name')|list }} {{ users|sort(attribute='age,name', reverse=true)|map(attribute='name')|list }} {{ d|sort }} {{ 'hello'|sort }} {{ [none, none]|sort }} {{ users|sort(attribute='city.name')|map(attribute='name')|join }} {{ [[2, 1], [1, 2]]|sort }} {{ [true, 0, 2]|sort }} {{ m|sort(attribute=1, reverse=true) }}
{{ [1, 'a']|sort }}
{{ [1, none]|sort }}
{{ users|sort(attribute='q') }}
{{ 5|sort }}
{{ 5|string + 'x' }} {{ none|string }} {{ l|string }} {{ true|string|length }} {{ missing|string }}|
{{ l|sum }} {{ l|sum(start=10) }} {{ users|sum(attribute='age') }} {{ []|sum }} {{ [0.1, 0.2]|sum }} {{ [[1], [2]]|sum(start=[]) }}
{{ w|sum }}
{{ w|sum(start='') }}
{{ 'hello world-foo (bar)'|title }} {{ "it's O'NEIL"|title }} {{ 'ßa'|title }} {{ 'aB [cD] {eF} <gH'|title }} {{ 'x\\u00a0y'|title }}
{{ d|tojson }} {{ l|tojson }} {{ s|tojson }} {{ u|tojson }} {{ z|tojson }} {{ t|tojson }} {{ x|tojson }} {{ markup|tojson }} {{ quotes|tojson }} {{ mixed|tojson }} {{ (1, 2)|tojson }} {{ {}|tojson }} {{ []|tojson }} {{ 1e16|tojson }} {{ 'inf'|float|tojson }} {{ 'nan'|float|tojson }}
{{ d|tojson(indent=2) }}
{{ users|tojson(indent=4) }}
{{ mixed|tojson(indent=0) }}
{{ [[], {}, [1]]|tojson(indent=2) }} {{ d|tojson(indent='--') }}
{{ d|tojson(sort_keys=true) }} {{ d|tojson(separators=(',', ':')) }} {{ u|tojson(ensure_ascii=true) }} {{ d|tojson(indent=2, separators=(';', '=')) }} {{ {1: 'a', none: 'b', true: 'c', 1.5: 'd'}|tojson }} {{ '\\x7f\\x1f'|tojson }} {{ '\\x7f\\x1f'|tojson(ensure_ascii=true) }}
{{ missing|tojson }}
{{ {(1, 2): 1}|tojson }}
{{ (l|map('string'))|tojson }}
{{ d.items()|tojson }}
{{ range(3)|tojson }}
{{ namespace()|tojson }}
{{ '  a  '|trim }}| {{ 'xax'|trim('x') }} {{ 5|trim }} {{ none|trim }} {{ ' \\n\\ta\\n'|trim }}| {{ 'abc'|trim('ca') }} {{ '  a'|trim(chars=' ') }}|
{{ 'foo bar baz qux'|truncate(9) }} {{ 'foo bar baz qux'|truncate(9, true) }} {{ 'foo bar baz qux'|truncate(11) }} {{ 'foo bar baz qux'|truncate(11, false, '...', 0) }} {{ 'foo bar'|truncate(5, end='~', leeway=0) }} {{ 'short'|truncate }} {{ u|truncate(8, true, '', 0) }}
{{ 'foo bar baz'|truncate(2) }}
{{ [1, 1, 2, 1]|unique|list }} {{ ['a', 'A', 'b']|unique|list }} {{ ['a', 'A', 'b']|unique(true)|list }} {{ users|unique(attribute='age')|map(attribute='name')|list }} {{ [1, 1.0, true]|unique|list }} {{ 'hello'|unique|join }}
{{ [[1], [1]]|unique|list }}
{{ 'a b/c?d=é&'|urlencode }} {{ {'a b': 1, 'c': 'd&e'}|urlencode }} {{ [('x', 'y z')]|urlencode }} {{ 5|urlencode }}
{{ 'one two, three_four'|wordcount }} {{ ''|wordcount }} {{ u|wordcount }}
{{ range(7)|batch(3)|list }} {{ range(7)|batch(3, 'x')|list }} {{ []|batch(3)|list }} {{ range(7)|slice(3)|list }} {{ range(7)|slice(3, 'x')|list }} {{ range(2)|slice(4)|list }}
{{ l|batch|list }}
{{ l|batch(2) is sequence }} {{ l|batch(2) is iterable }} {{ (l|map('string'))[0] }}| {{ l|map('string') is string }}
{{ (l|map('string'))[1:] }}
{% set g = l|map('string') %}{{ g|list }}{{ g|list }}{{ g|first is defined }}
{% set g = l|select %}{% for i in g %}{{ i }}{% break %}{% endfor %}{{ g|list }}
{{ l|map('string')|map('int')|map('abs')|sum }}
{{ 'abc'|upper|lower|title|reverse|first }} {{ l|sort|reverse|first }} {{ l | sort | join(',') }}
{{ 'a'|nope }}
{% if false %}{{ 'a'|nope }}{% endif %}ok
{% if true %}{{ 'a'|nope }}{% endif %}ok
{{ ('a'|nope) if false else 'ok' }}
{{ 'ok' if true else 'a' is nope }}
{% if false %}{% for i in l %}{{ i|nope }}{% endfor %}{% endif %}ok
{{ 'a' is nope }}
{{ 'a'|upper(1) }}
{{ 'a'|upper(q=1) }}
{{ 'a'|replace('a') }}
{{ 'a'|default('b', nope=1) }}
{{ 'a'|center('x') }}
{{ l|join(d=', ') }} {{ 'abc'|replace(old='a', new='b') }} {{ 'x'|indent(width=2, first=true) }}
""".strip("\n").split("\n")

TESTS = """
{{ missing is defined }} {{ n is defined }} {{ z is defined }} {{ missing is undefined }} {{ n is undefined }} {{ d.q is defined }} {{ d['a'] is defined }}
{{ z is none }} {{ missing is none }} {{ 0 is none }} {{ z is not none }} {{ n is not none }}
{% for v in [1, 1.5, true, 'a', none, [1], (1,), {'a': 1}, range(2)] %}{{ v is number }}{{ v is integer }}{{ v is float }}{{ v is boolean }}{{ v is string }}{{ v is mapping }}{{ v is sequence }}{{ v is iterable }}{{ v is callable }}{{ v is true }}{{ v is false }};{% endfor %}
{{ missing is sequence }} {{ missing is iterable }} {{ missing is callable }} {{ missing is mapping }} {{ d.items() is sequence }} {{ d.items() is iterable }} {{ d.keys() is mapping }} {{ range is callable }} {{ s.upper is callable }} {{ namespace() is mapping }} {{ namespace is callable }} {{ joiner() is callable }} {{ cycler(1) is callable }}
{{ 3 is odd }} {{ 3 is even }} {{ 0 is even }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(4) }} {{ -3 is odd }} {{ 2.0 is even }} {{ true is odd }}
{{ 'a' is odd }}
{{ none is odd }}
{{ 5 is divisibleby 0 }}
{{ 1 is eq 1 }} {{ 1 is equalto 2 }} {{ 1 is ne 2 }} {{ 2 is gt 1 }} {{ 2 is greaterthan 3 }} {{ 2 is ge 2 }} {{ 1 is lt 2 }} {{ 1 is lessthan 1 }} {{ 1 is le 1 }} {{ 1 is in [1, 2] }} {{ 1 is in([2]) }} {{ 'a' is in 'abc' }} {{ 1 is not in [2] }}
{{ 'abc' is lower }} {{ 'ABC' is upper }} {{ 'Abc' is lower }} {{ 5 is lower }} {{ '' is upper }}
{{ none is sameas none }} {{ true is sameas true }} {{ 1 is sameas true }} {{ l is sameas l }} {{ l is sameas [3, 1, 2] }}
{{ 'upper' is filter }} {{ 'nope' is filter }} {{ 'odd' is test }} {{ 'nope' is test }}
{{ n is number is string }}
{{ 1 is in 5 }}
{{ n is divisibleby 7 and n is odd }} {{ n is odd or z }} {{ 'x' if n is odd else 'y' }}
{{ 1 is lt 'a' }}
{{ [] is not defined }} {{ not missing is defined }} {{ (missing is defined) == false }}
{{ n is defined() }} {{ n is odd() }}
{{ 1 is eq }}
""".strip().split("\n")

STATEMENTS = [
    "{% for i in l %}{{ i }}{% endfor %}",
    "{% for i in l %}{{ i }}{% if not loop.last %}, {% endif %}{% endfor %}",
    "{% for i in [] %}x{% else %}empty{% endfor %}",
    "{% for i in l %}{% break %}{% else %}else{% endfor %}",
    "{% for i in l %}{% continue %}{% else %}else{% endfor %}",
    "{% for i in l %}{{ i }}{% break %}{% else %}else{% endfor %}",
    "{% for i in l %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% else %}else{% endfor %}",
    "{% for i in range(10) %}{% if i > 3 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "{% for i in range(10) if i is odd %}{{ loop.index }}/{{ loop.length }}:{{ i }} {% endfor %}",
    "{% for i in range(10) if i > 20 %}x{% else %}none{% endfor %}",
    "{% for a, b in m %}{{ a }}-{{ b }};{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for a, b in [1, 2] %}{% endfor %}",
    "{% for a, b in [[1, 2, 3]] %}{% endfor %}",
    "{% for a, b, c in [[1, 2]] %}{% endfor %}",
    "{% for c in 'héy' %}[{{ c }}]{% endfor %}",
    "{% for k in d %}{{ k }}{% endfor %}{% for i in missing %}x{% else %}no{% endfor %}",
    "{% for i in 5 %}{% endfor %}",
    "{% for i in none %}{% endfor %}",
    "{% for i in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }} {% endfor %}",
    "{% for i in l %}{{ loop.previtem }}<{{ i }}>{{ loop.nextitem }} {{ loop.previtem is defined }} {% endfor %}",
    "{% for i in l %}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{% for i in [1, 1, 2, 2, 1] %}{{ loop.changed(i) }} {% endfor %}",
    "{% for i in l %}{{ loop.cycle() }}{% endfor %}",
    "{% for i in l %}{{ loop.nope }}|{{ loop['index'] }}{% endfor %}",
    "{% for i in l %}{{ loop }}{% endfor %}",
    "{% for i in l %}{{ loop|length }}{% endfor %}",
    "{% for i in l %}{% for j in l %}{{ loop.index }}{% endfor %}{{ loop.index }} {% endfor %}",
    "{% for i in l %}{% set outer = loop %}{% for j in [1, 2] %}{{ outer.index }}{{ loop.index }} {% endfor %}{% endfor %}",
    "{% for i in l %}{% for j in m[0] if loop.first %}{{ j }}{% endfor %}{% endfor %}",
    "{% set x2 = 1 %}{% for i in l %}{{ x2 }}{% set x2 = 5 %}{{ x2 }}{% endfor %}{{ x2 }}",
    "{% for i in l %}{% set y = i %}{% endfor %}{{ y is defined }}{{ i is defined }}",
    "{% for i in l %}{% if loop.first %}{% set q = i %}{% endif %}{{ q }}{% endfor %}",
    "{% set ns = namespace(c=0) %}{% for i in l %}{% set ns.c = ns.c + i %}{% endfor %}{{ ns.c }}",
    "{% set ns = namespace({'a': 1}, b=2) %}{{ ns.a }}{{ ns.b }}{{ ns.nope }}|{{ ns['a'] }}{{ ns }}",
    "{% set ns = namespace() %}{% set ns.a = [] %}{% for i in l %}{% set ns.a = ns.a + [i] %}{% endfor %}{{ ns.a }}{{ ns.q is defined }}",
    "{% set d.x = 1 %}",
    "{% set nope.x = 1 %}",
    "{% set ns = namespace(a=1) %}{% set ns.a, b = 1, 2 %}",
    "{% set ns = namespace() %}{{ ns.q.r }}",
    "{% set a = 1 %}{% set b = a + 1 %}{{ a }}{{ b }}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set (c, d2) = [3, 4] %}{{ c }}{{ d2 }}",
    "{% set a, b = [1] %}",
    "{% set a = 1, 2 %}{{ a }}{% set a = (1) %}{{ a }}",
    "{% set a %}x{{ n }}y{% endset %}[{{ a }}]{{ a|length }}",
    "{% set a | upper | replace('X', 'z') %}x{{ n }}y{% endset %}[{{ a }}]",
    "{% set a %}{% set inner = 1 %}{% endset %}{{ inner is defined }}",
    "{% if t %}{% set a = 1 %}{% endif %}{{ a }}",
    "{% if f %}{% set a = 1 %}{% endif %}{{ a is defined }}{% if f %}{% set n = 1 %}{% endif %}{{ n }}",
    "{% set n = n + 1 %}{{ n }}",
    "{% if n > 5 %}a{% elif n > 3 %}b{% else %}c{% endif %}",
    "{% if n < 5 %}a{% elif n > 3 %}b{% else %}c{% endif %}",
    "{% if n < 5 %}a{% elif n < 3 %}b{% else %}c{% endif %}",
    "{% if missing %}a{% endif %}{% if not missing %}b{% endif %}{% if [] or {} or '' or 0 or none or 0.0 %}c{% endif %}{% if [0] %}d{% endif %}{% if range(0) %}e{% endif %}{% if namespace() %}f{% endif %}",
    "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a is defined }}",
    "{% set a = 1 %}{% with a = 2, b = a %}{{ a }}{{ b }}{% set a = 3 %}{{ a }}{% endwith %}{{ a }}",
    "{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q is defined }}",
    "{% macro f(a, b=2, c='x') %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}{{ f(1) }}{{ f(1, 3) }}{{ f(1, c='y') }}{{ f(c=1, a=2) }}{{ f() }}",
    "{% macro f(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ f(1) }}{{ f(1, 2) }}",
    "{% macro f(a) %}{{ a.b }}{% endmacro %}{{ f() }}",
    "{% macro f(a) %}{{ a is defined }}{% endmacro %}{{ f() }}{{ f(none) }}",
    "{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}",
    "{% macro f(a) %}{% endmacro %}{{ f(b=2) }}",
    "{% macro f(a) %}{% endmacro %}{{ f(1, a=2) }}",
    "{% macro f() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, a=3) }}{{ f() }}",
    "{% macro f(a) %}{{ a }}{{ varargs|join(',') }}{{ kwargs|dictsort }}{% endmacro %}{{ f(1, 2, 3, z=1, y=2) }}",
    "{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}",
    "{% macro f() %}{{ g }}{% endmacro %}{% set g = 5 %}{{ f() }}{% set g = 6 %}{{ f() }}",
    "{% macro f() %}{% set q = 1 %}{{ q }}{% endmacro %}{{ f() }}{{ q is defined }}",
    "{% for i in l %}{% macro f() %}{{ i }}{% endmacro %}{{ f() }}{% endfor %}{{ f is defined }}",
    "{% macro f() %}{{ caller() }}{% endmacro %}{% call f() %}body{{ n }}{% endcall %}",
    "{% macro f() %}[{{ caller(1, 2) }}]{% endmacro %}{% call(a, b) f() %}{{ a }}{{ b }}{% endcall %}",
    "{% macro f(x) %}<{{ caller() if x else 'none' }}>{% endmacro %}{% call f(true) %}b{% endcall %}{% call f(false) %}b{% endcall %}",
    "{% macro f() %}{{ caller() }}{% endmacro %}{{ f() }}",
    "{% macro f() %}x{% endmacro %}{% call f() %}b{% endcall %}",
    "{% macro f(caller=none) %}{{ caller() if caller else 'no' }}{% endmacro %}{{ f() }}{% call f() %}b{% endcall %}",
    "{% macro f() %}{% for i in l %}{{ caller(i) }}{% endfor %}{% endmacro %}{% call(i) f() %}{{ i * 2 }},{% endcall %}",
    "{% macro f(a, b) %}{% endmacro %}{{ f.name }}{{ f.arguments }}{{ f.catch_kwargs }}{{ f.catch_varargs }}{{ f.caller }}{{ f }}",
    "{% macro f() %} x {% endmacro %}[{{ f() }}][{{ f()|trim }}]{{ f() is string }}",
    "{% macro f(*a) %}{% endmacro %}",
    "{% macro f(a=1, b) %}{% endmacro %}",
    "{% macro outer() %}{% macro inner() %}i{% endmacro %}{{ inner() }}{% endmacro %}{{ outer() }}{{ inner is defined }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(*[1]) }}{{ f(**{'a': 2}) }}{{ f(*[], **{'a': 3}) }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(*5) }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(**5) }}",
    "{{ dict(a=1, **{'b': 2}) }}{{ dict({'x': 1}, y=2) }}{{ dict([('p', 1)]) }}{{ dict() }}",
    "{{ range(3)|list }}{{ range(1, 4)|list }}{{ range(5, 0, -2)|list }}{{ range(0) }}{{ range(1, 9, 3) }}",
    "{{ range(100001) }}",
    "{{ range(10**9) }}",
    "{{ range('a') }}",
    "{{ range() }}",
    "{{ range(1, 2, 0) }}",
    "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.next() }}",
    "{% set j = joiner('|') %}{{ j() }}a{{ j() }}b{{ j() }}c",
    "{{ cycler() }}",
    "{{ raise_exception('stop here') }}",
    "{% if messages[0].role != 'user' %}{{ raise_exception('first must be user: ' ~ messages[0].role) }}{% endif %}",
    "{{ raise_exception() }}",
    "{{ strftime_now('%Y-%m-%d %H:%M %d %b %Y %A %B %j %p') }}",
    "{% filter upper %}a{{ s }}{% endfilter %}",
    "{% filter replace('a', 'b')|upper %}banana{% endfilter %}",
    "{% filter indent(2) %}a\nb\n{% endfilter %}",
    "{% filter upper %}{% set q = 1 %}{{ q }}{% endfilter %}{{ q is defined }}",
    "{% print 1, 'a', [2] %}",
    "{% generation %}x{{ n }}{% set q = 1 %}{% endgeneration %}{{ q is defined }}",
    "{% for m2 in messages %}{% if m2.role == 'assistant' %}{% generation %}{{ m2.content }}{{ loop.index }}{% endgeneration %}{% endif %}{% endfor %}",
    "{% for i in l recursive %}{{ i }}{% endfor %}",
    "{% for i in [{'v': 1, 'c': [{'v': 2, 'c': []}, {'v': 3}]}] recursive %}{{ loop.depth }}{{ i.v }}{% if i.c %}({{ loop(i.c) }}){% endif %}{% endfor %}",
    "{% for i in l %}{{ loop(l) }}{% endfor %}",
    "{% raw %}{{ x }} {% if %} {# c #}{% endraw %}",
    "a{% raw -%}  b  {%- endraw %}c",
    "a{#- comment -#} b",
    "a {# multi\nline #} b\n{# own line #}\nc",
    "{{ '{{' }} {{ '%}' }} {{ '}}' }}",
    "{{ {'a': {'b': 1}}['a']['b'] }}",
    "{{ {'a': {'b': {}}} }}",
    "  {% if t %}\n  x\n  {% endif %}\ny",
    "  {%- if t -%}\n  x\n  {%- endif -%}\ny",
    "  {%+ if t %}\n  x\n  {%+ endif %}\ny",
    "a\n  {% if t +%}\nb\n{% endif %}\n",
    "a   {{- n -}}   b",
    "a\n\n{{- n }}\n\n{{ n -}}\n\nb",
    "a\n{% for i in l %}\n  {{ i }}\n{% endfor %}\nb",
    "a\n{%- for i in l %}\n  {{ i }}\n{%- endfor %}\nb\n",
    "a\n\t {% set q = 1 %}  \nb",
    "x {% set q = 1 %}\ny",
    "trailing newline\n",
    "two newlines\n\n",
    "crlf\r\n{{ n }}\r\n",
    "{{ n }}\n{% if t %}\n{% endif %}",
    "{{- n }}",
    "{{ n\n+\n1 }}",
    "{%if t%}x{%endif%}{{n}}",
    "{% if t: %}x{% endif %}{% for i in l: %}{{ i }}{% endfor %}",
    "{{+ n }}{{ n }}",
    "{% set é = 1 %}{{ é }}{% set 变量 = 2 %}{{ 变量 }}",
    "text only é 🙂 { } % # {x} { { }}",
    "",
    " \n \n",
    "{% for i in l %}{% if i == 1 %}{% break %}{% endif %}{% set a %}{{ i }}{% endset %}{{ a }}{% endfor %}",
    "{% for i in l %}{% with q = i %}{% if q == 1 %}{% break %}{% endif %}{{ q }}{% endwith %}{% endfor %}",
    "{% break %}",
    "{% for i in l %}{% macro q() %}{% break %}{% endmacro %}{% endfor %}",
    "{% continue %}",
    "{% for loop in l %}{% endfor %}",
    "{% for i in l %}{% set loop = 1 %}{% endfor %}",
    "{% set loop = 1 %}{{ loop }}",
    "{% set true = 1 %}",
    "{% set 1 = 2 %}",
    "{% set 'a' = 2 %}",
    "{% set a.b.c = 1 %}",
    "{% for i.x in l %}{% endfor %}",
    "{% if %}{% endif %}",
    "{% if t %}",
    "{% for i in l %}",
    "{% endif %}",
    "{% if t %}{% endfor %}",
    "{% nope %}",
    "{% if t %}{% nope %}{% endif %}",
    "{{ }}",
    "{{ n",
    "{% if t",
    "{# never closed",
    "{% raw %} never closed",
    "{{ (1 + 2 }}",
    "{{ 1 + }}",
    "{{ [1, 2 }}",
    "{{ {'a' 1} }}",
    "{{ 'abc }}",
    "{{ a b }}",
    "{{ a.1b }}",
    "{{ ) }}",
    "{{ a! }}",
    "{{ a $ b }}",
    "{{ a? }}",
    "{{ f(a=1, 2) }}",
    "{{ f(a=1, a=2) }}",
    "{{ f(**a, b) }}",
    "{{ l[1:2:3:4] }}",
    "{{ n is }}",
    "{{ n | }}",
    "{{ n |upper| }}",
    "{{ n. }}",
    "{% set %}",
    "{% set a = %}",
    "{% for in l %}{% endfor %}",
    "{% for i l %}{% endfor %}",
    "{% macro %}{% endmacro %}",
    "{% macro f %}{% endmacro %}",
    "{% call 5 %}{% endcall %}",
    "{% filter %}{% endfilter %}",
    "line one\n\n{{ 1 + }}\n",
    "a\n{% if t %}\n{% for i in l %}\n{% endif %}\n",
    "{{ 1 if }}",
    "{{ not }}",
    "{{ 1 == }}",
    "{{ 'a' 1 }}",
    "{% else %}",
    "{% if t %}a{% else %}b{% else %}c{% endif %}",
    "{{ 007 }}",
    "{{ 1.e5 }}",
    "{{ 1..2 }}",
    "{{ [1,,2] }}",
    "{{ (,) }}",
    "{{ {,} }}",
]

CONVERSATIONS = [
    # whole templates in the styles that models use
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "{{ bos_token }}{% for m in messages %}\n{% if m.role == 'system' %}\n<<SYS>>\n{{ m.content | trim }}\n<</SYS>>\n{% elif m.role == 'user' %}\n[INST] {{ m.content | trim }} [/INST]\n{% else %}\n{{ m.content | trim }}{{ eos_token }}\n{% endif %}\n{% endfor %}",
    "{%- if messages[0]['role'] == 'system' %}{%- set sys = messages[0]['content'] %}{%- set loop_messages = messages[1:] %}{%- else %}{%- set loop_messages = messages %}{%- endif %}\n{%- for message in loop_messages %}\n{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{%- endif %}\n{%- if loop.first and sys is defined %}{{ sys + '\\n\\n' }}{%- endif %}{{ message['content'] }}{%- endfor %}",
    "{% set ns = namespace(last=-1) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}{% for m in messages %}{% if loop.index0 > ns.last and m.role == 'assistant' and m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content.split('</think>')[-1].lstrip('\\n') }}|{% endfor %}",
    "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% elif m.content is iterable %}{% for part in m.content %}{% if part.type == 'text' %}{{ part.text }}{% else %}<{{ part.type }}>{% endif %}{% endfor %}{% endif %}{% if m.tool_calls is defined and m.tool_calls %}{% for c in m.tool_calls %}{% set c = c.function if c.function is defined else c %}<call>{{ c.name }} {{ c.arguments if c.arguments is string else c.arguments | tojson }}</call>{% endfor %}{% endif %}\n{% endfor %}",
    "{% macro render_type(t) -%}\n{%- if t is string -%}{{ t }}{%- elif t is sequence -%}{{ t | join(' | ') }}{%- else -%}any{%- endif -%}\n{%- endmacro -%}\n{% if tools %}{% for tool in tools %}// {{ tool.function.description }}\ntype {{ tool.function.name }} = (_: {\n{% for k, p in tool.function.parameters.properties.items() %}{{ k }}{{ '' if k in tool.function.parameters.required else '?' }}: {{ render_type(p.type) }}{% if not loop.last %},{% endif %}\n\n{% endfor %}}) => any;\n{% endfor %}{% endif %}",
    "{{ tools | tojson(indent=2) if tools else 'none' }}\n{{ messages | tojson }}",
    "{% for m in messages %}{{ m }}\n{% endfor %}",
]

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather – now",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "City"},
                    "unit": {"type": ["string", "null"], "enum": ["c", "f"]},
                },
                "required": ["city"],
            },
        },
    }
]

TALKS = [
    {"messages": CONTEXT["messages"], "tools": None},
    {"messages": [{"role": "user", "content": ""}], "tools": TOOLS},
    {"messages": [], "tools": []},
    {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "what is"}, {"type": "image"}]},
            {
                "role": "assistant",
                "content": "<think>\nhm\n</think>\n\nsee",
                "reasoning_content": "why – because 🙂",
                "tool_calls": [
                    {"id": "1", "function": {"name": "weather", "arguments": {"city": "Köln", "n": 1.0}}},
                    {"id": "2", "function": {"name": "weather", "arguments": '{"city": "x"}'}},
                ],
            },
            {"role": "tool", "tool_call_id": "1", "name": "weather", "content": '{"t": 21}'},
        ],
        "tools": TOOLS,
    },
    {
        "messages": [
            {"role": "user", "content": "naïve – 日本語 🙂 {{ x }} {% raw %} <|im_end|>\r\nnext"},
            {"role": "assistant", "content": "ok", "reasoning_content": None},
            {"role": "user", "content": " \n padded \t\n"},
            {"role": "assistant", "content": "\n\nfine", "reasoning_content": "r"},
        ],
        "tools": None,
    },
]

CASES = {
    "literals": LITERALS,
    "operators": OPERATORS,
    "access": ACCESS,
    "methods": METHODS,
    "filters": FILTERS,
    "tests": TESTS,
    "statements": STATEMENTS,
    "conversations": [
        (source, {**talk, "bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": prompt})
        for source in CONVERSATIONS
        for talk in TALKS
        for prompt in (True, False)
    ],
}
