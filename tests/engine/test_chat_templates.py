"""Chat templates: what the best-known families write is nothing odd, whatever spells out a way into
Python is.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.engine.core.vocabulary import Severity
from discovery.engine.untrusted import chat_templates

#: In the manner of the families: their constructs, in words of our own.
FAMILIES = {
    "llama-2": "{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set rules "
               "= messages[0]['content'] %}{% else %}"
    "{% set rest = messages %}{% set rules = false %}{% endif %}{% for message in rest %}{% if "
    "(message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate') }}{% endif %}{% if loop.index0 == 0 and rules != "
    "false %}"
    "{% set content = '<<S>>\\n' + rules + '\\n<</S>>\\n' + message['content'] %}{% else %}{% set "
    "content = message['content'] %}{% endif %}"
    "{{ bos_token + '[I] ' + content.strip() + ' [/I]' }}{% endfor %}",
    "llama-3.1": "{{- bos_token }}{%- if custom_tools is defined %}{%- set tools = custom_tools "
                 "%}{%- endif %}{%- if not date_string is defined %}"
    "{%- set date_string = strftime_now('%d %b %Y') %}{%- endif %}{%- for message in messages "
    "%}{%- if 'tool_calls' in message %}"
    "{%- if message.tool_calls|length != 1 %}{{- raise_exception('one at a time') }}{%- endif "
    "%}{%- set call = message.tool_calls[0].function %}"
    "{{- call.name + '.call(' }}{%- for name, value in call.arguments | items %}{{- name + '=\"' + "
    "value + '\"' }}{%- if not loop.last %}{{- ', ' }}"
    "{%- endif %}{%- endfor %}{%- elif message.content is mapping or message.content is iterable "
    "%}{{- message.content | tojson }}{%- endif %}{%- endfor %}"
    "{%- for t in tools %}{{- t | tojson(indent=4) }}{{- '\\n\\n' }}{%- endfor %}",
    "mistral": "{%- set asked = messages | selectattr('role', 'equalto', 'user') | list %}{%- set "
               "ns = namespace() %}{%- set ns.index = 0 %}"
    "{%- for message in messages %}{%- if not (message.role == 'tool' or (message.tool_calls is "
    "defined and message.tool_calls is not none)) %}"
    "{%- if (message['role'] == 'user') != (ns.index % 2 == 0) %}{{- raise_exception('order') "
    "}}{%- endif %}{%- set ns.index = ns.index + 1 %}{%- endif %}"
    "{%- if message == asked[-1] %}{%- for tool in tools %}{%- set tool = tool.function %}{%- for "
    "key, value in tool.items() if key != 'return' %}"
    "{%- if value is string %}{{- '\"' + key + '\": \"' + value + '\"' }}{%- else %}{{- key ~ ': ' "
    "~ value|tojson }}{%- endif %}{%- endfor %}{%- endfor %}"
    "{%- endif %}{%- for call in message.tool_calls or [] %}{%- set out = call.function|tojson "
    "%}{{- out[:-1] }}{%- if call.id|length != 9 %}"
    "{{- raise_exception('id') }}{%- endif %}{%- endfor %}{%- endfor %}",
    "qwen-3": "{%- set ns = namespace(multi=true, last=messages|length - 1) %}{%- for message in "
              "messages[::-1] %}"
    "{%- set index = (messages|length - 1) - loop.index0 %}{%- if ns.multi and message.role == "
    "'user' and message.content is string and not "
    "(message.content.startswith('<r>') and message.content.endswith('</r>')) %}{%- set ns.multi = "
    "false %}{%- set ns.last = index %}{%- endif %}{%- endfor %}"
    "{%- for message in messages %}{%- set thought = '' %}{%- if message.reasoning_content is "
    "string %}{%- set thought = message.reasoning_content %}"
    "{%- else %}{%- if '</think>' in message.content %}{%- set thought = "
    "message.content.split('</think>')[0].rstrip('\\n').split('<think>')[-1] %}"
    "{%- endif %}{%- endif %}{{- thought.strip('\\n') }}{%- if loop.first or (messages[loop.index0 "
    "- 1].role != 'tool') %}{{- '<x>' }}{%- endif %}{%- endfor %}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- "
    "'<think>\\n\\n</think>\\n\\n' }}{%- endif %}",
    "deepseek-r1": "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = "
                   "false %}{% endif %}"
    "{% set ns = namespace(is_first=false, is_tool=false, prompt='') %}{%- for message in messages "
    "%}{%- if message['role'] == 'system' %}"
    "{% set ns.prompt = ns.prompt + message['content'] %}{%- endif %}{%- endfor %}{{ bos_token "
    "}}{{ ns.prompt }}{%- for message in messages %}"
    "{%- for tool in message['tool_calls'] %}{{ '<c>' + tool['type'] + tool['function']['name'] + "
    "'\\n```json\\n' + tool['function']['arguments'] + '\\n' }}"
    "{%- endfor %}{% set content = message['content'] %}{% if '</think>' in content %}{% set "
    "content = content.split('</think>')[-1] %}{% endif %}{{ content }}"
    "{%- endfor %}",
    "gemma-3": "{%- if messages[0]['role'] == 'system' -%}{%- if messages[0]['content'] is string "
               "-%}{%- set first = messages[0]['content'] + '\\n\\n' -%}"
    "{%- else -%}{%- set first = messages[0]['content'][0]['text'] + '\\n\\n' -%}{%- endif -%}{%- "
    "endif -%}{%- for message in messages -%}"
    "{%- if (message['role'] == 'assistant') -%}{%- set role = 'model' -%}{%- else -%}{%- set role "
    "= message['role'] -%}{%- endif -%}"
    "{{ '<t>' + role + '\\n' + (first if loop.first else '') }}{%- for item in message['content'] "
    "-%}{%- if item['type'] == 'image' -%}{{ '<i>' }}"
    "{%- elif item['type'] == 'text' -%}{{ item['text'] | trim }}{%- endif -%}{%- endfor -%}{%- "
    "endfor -%}",
    "phi-4": "{% for message in messages %}{% if message['role'] == 'system' and 'tools' in "
             "message and message['tools'] is not none %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|tool|>' + message['tools'] }}{% "
    "else %}{{ '<|' ~ message['role'] ~ '|>' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% "
    "endif %}",
    "command-r": "{%- macro kind(spec) %}{%- set plain = {'string': 'str', 'number': 'float', "
                 "'integer': 'int', 'boolean': 'bool'} %}"
    "{%- if plain[spec.type] is defined %}{{- plain[spec.type] }}{%- elif spec.type == 'array' "
    "%}{{- 'List[' + kind(spec.items) + ']' }}"
    "{%- elif spec.type == 'object' %}{{- 'Dict[str, ' + kind(spec.additionalProperties) + ']' "
    "}}{%- elif spec.type is iterable %}{{- 'Union[' }}"
    "{%- for t in spec.type %}{{- kind({'type': t}) }}{%- if not loop.last %}{{- ',' }}{%- endif "
    "%}{%- endfor %}{{- ']' }}{%- endif %}{%- endmacro %}"
    "{%- for tool in tools %}{%- for name, fields in tool.parameters.properties.items() %}{{ name "
    "+ ': ' + kind(fields) }}"
    "{%- if name in tool.parameters.required %}{{ fields.description }}{%- endif %}{%- endfor "
    "%}{%- endfor %}",
    "hermes": "{%- set types = {'a': 1} %}{%- for tool in tools %}{%- if tool.function is defined "
              "%}{%- set tool = tool.function %}{%- endif %}"
    "{{- tool.name + '(' }}{%- for name, fields in tool.parameters.properties|items %}{{- name + "
    "': ' + fields.type }}{%- if not loop.last %}{{- ', ' }}{%- endif %}"
    "{%- endfor %}{{- ')' }}{%- if tool.return is defined %}{{- ' -> ' ~ tool.return.type }}{%- "
    "endif %}{%- endfor %}",
    "gpt-oss": "{%- macro typed(spec, required, nullable=false) -%}{%- if spec.type == 'array' "
               "-%}{%- if spec['items'] -%}{%- if spec['items']['type'] == 'string' -%}"
    "{{- 'string[]' }}{%- else -%}{%- set inner = typed(spec['items'], required) -%}{%- if inner "
    "== 'object | object' or inner|length > 50 -%}{{- 'any[]' }}"
    "{%- else -%}{{- inner + '[]' }}{%- endif -%}{%- endif -%}{%- endif -%}{%- elif spec.type is "
    "defined and spec.type is iterable and spec.type is not string and "
    "spec.type is not mapping and spec.type[0] is defined -%}{{- spec.type | join(' | ') }}{%- "
    "elif spec.enum -%}{{- '\"' + spec.enum|join('\" | \"') + '\"' -}}"
    "{%- endif -%}{%- endmacro -%}{%- set last = namespace(name=none) %}{%- for message in "
    "loop_messages -%}{%- set later = namespace(found=false) %}"
    "{%- for each in loop_messages[loop.index:] %}{%- if each.role == 'assistant' and 'tool_calls' "
    "not in each %}{%- set later.found = true %}{%- endif %}"
    "{%- endfor %}{%- set call = message.tool_calls[0] %}{%- set last.name = call.name %}{{- "
    "'to=functions.' + last.name }}{%- endfor -%}"
    "{{- strftime_now('%Y-%m-%d') }}{{- typed(tools[0], tools[0].required or []) }}",
    "granite": "{%- if documents %}{%- for document in documents %}{{- 'Document ' + loop.index | "
               "string + '\\n' + document['text'] }}{%- endfor %}{%- endif %}"
    "{%- set system = 'Knowledge Cutoff: April 2024.\\nToday is ' + strftime_now('%B %d, %Y') + "
    "'.' %}{%- if tools and documents %}"
    "{%- set system = system + ' Use them.' %}{%- endif %}{{- '<r>' + system }}{{- tools | "
    "tojson(indent=4) }}",
    "glm-4.5": "{%- macro shown(content) -%}{%- if content is string -%}{{- content }}{%- elif "
               "content is iterable and content is not mapping -%}"
    "{%- for item in content -%}{%- if item is mapping and item.type == 'text' -%}{{- item.text "
    "}}{%- elif item is string -%}{{- item }}{%- endif -%}{%- endfor -%}"
    "{%- else -%}{{- content }}{%- endif -%}{%- endmacro -%}{%- set ns = namespace(last=-1) %}{%- "
    "for m in messages %}{%- if m.role == 'user' %}"
    "{% set ns.last = loop.index0 -%}{%- endif %}{%- endfor %}{% for tc in "
    "messages[ns.last].tool_calls %}{% set _args = tc.arguments %}"
    "{% for k, v in _args.items() %}<k>{{ k }}</k><v>{{ v | tojson(ensure_ascii=False) if v is not "
    "string else v }}</v>{% endfor %}{% endfor %}{{ shown(messages[-1].content) }}",
    "smollm-3": "{%- set mode = '/think' if enable_thinking else '/no_think' -%}{%- set said = "
                "messages[0].content -%}{%- if '/no_think' in said -%}"
    "{%- set mode = '/no_think' -%}{%- endif -%}{%- set own = said.replace('/no_think', "
    "'').replace('/think', '').rstrip() -%}{{- own ~ mode -}}"
    "{%- set ns = namespace(shown='') -%}{%- for tool in xml_tools or [] -%}{%- set ns.shown = "
    "ns.shown ~ (tool | string) ~ '\\n' -%}{%- endfor -%}"
    "{% for message in messages %}{% generation %}{{ message.content.lstrip('\\n') + '<e>' }}{% "
    "endgeneration %}{% endfor %}",
    "kimi": "{%- macro role_of(message) -%}{%- set role = message.get('name') or message['role'] "
            "-%}{{ role }}{%- endmacro -%}"
    "{%- for message in messages %}{%- if message.get('tool_calls') -%}{%- for call in "
    "message['tool_calls'] -%}{%- set id = call['id'] -%}"
    "{{ id.split('.')[1].split(':')[0] }}{% if call['function']['arguments'] is string %}{{ "
    "call['function']['arguments'] }}{% else %}"
    "{{ call['function']['arguments'] | tojson }}{% endif %}{%- endfor -%}{%- endif -%}{{ "
    "role_of(message) }}{%- endfor -%}",
    "seed-oss": "{%- set budgets = {0: 0, 512: 128, 1024: 256} -%}{%- set ns = "
                "namespace(interval=none) -%}{%- for k, v in budgets | dictsort -%}"
    "{%- if ns.interval is none and thinking_budget <= k -%}{%- set ns.interval = v -%}{%- endif "
    "-%}{%- endfor -%}{{- ns.interval }}{{ budgets[512] }}"
    "{%- set names = {'string': 'str'} -%}{%- for name, spec in "
    "tools[0].parameters.properties.items() -%}{{ names.get(spec.type, 'Any') }}{%- endfor -%}",
    "zephyr": "{% for message in messages %}{% if message['role'] == 'user' %}{{ '<|user|>\\n' + "
              "message['content'] + eos_token }}{% endif %}"
    "{% if loop.last and add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}{% endfor %}",
    "vicuna": "{% for message in messages %}{% if loop.first %}{{ message['content'].strip() ~ ' ' "
              "}}{% else %}{{ message.role | upper | trim ~ ': ' }}{% endif %}{% endfor %}",
    "olmo": "{%- for message in messages %}{%- if message.get('functions', none) is not none -%}{{ "
            "message['functions'] }}{%- endif -%}{%- break -%}{%- endfor %}",
    "jamba": "{%- set ns = namespace(parts=[], seen=false) -%}{%- for message in messages -%}{%- "
             "if message.role == 'system' and not ns.seen -%}"
    "{%- set ns.seen = true -%}{%- set ns.parts = ns.parts + [message.content] -%}{%- endif -%}{%- "
    "endfor -%}{{ ns.parts | join('\\n') }}{{ ns.parts[0] }}",
    "lfm-2": "{%- set ns = namespace(prompt='') -%}{%- if tools -%}{%- for tool in tools -%}{%- if "
             "tool is not string -%}{%- set tool = tool | tojson -%}{%- endif -%}"
    "{%- set ns.prompt = ns.prompt + tool -%}{%- if not loop.last -%}{%- set ns.prompt = ns.prompt "
    "+ ', ' -%}{%- endif -%}{%- endfor -%}{%- endif -%}{{ ns.prompt }}",
    "nemotron": "{%- set rest = messages | rejectattr('role', 'equalto', 'system') | list -%}{%- "
                "set names = tools | map(attribute='name') | list -%}{{ names | join(', ') }}"
    "{%- for key in ['type', 'description'] -%}{{ rest[0][key] }}{%- endfor -%}{%- set sep = "
    "joiner(', ') -%}{%- for m in rest -%}{{ sep() }}{{ m.content }}{%- endfor -%}",
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_what_the_families_write_is_nothing_odd(family: str) -> None:
    assert chat_templates.oddities(FAMILIES[family]) == []


#: Expressions that spell "__class__" or "__globals__" without writing it down, each in its own way.
SPELLINGS = [
    "'__cla' ~ 's__'", "'__cla' + 's__'", "'__CLASS__'|lower", "'__CLASS__'.lower()",
    "'__ssalc__'|reverse", "'__ssalc__'[::-1]", "'x__class__'[1:]",
    "['__cla', 'ss__']|join", "''.join(['__cla', 'ss__'])", "'%scla%s'|format('__', 'ss__')",
    "'%scla%s' % ('__', 'ss__')", "'{}class{}'.format('__', '__')",
    "'XXclassXX'|replace('X', '_')", "'a __class__'.split()[1]", "'a __class__'.split()|last",
    "dict(__class__=1)|first", "dict(__cla=1, ss__=2)|join",
    "('_' * 2) ~ 'class' ~ ('_' * 2)", "(lipsum|string)[18] * 2 ~ 'class__'",
    "(()|select|string)[3:4] ~ 'x'", "'__class__ '|trim", "' __class__'.strip()",
    "'__class__'|string", "'__class__'|e", "('__class__', 'b')|first", "['a', '__class__'][1]",
    "{'a': '__class__'}.a", "{'a': '__class__'}['a']",
    "{'__class__': 1}|list|first", "{'__class__': 1}.keys()|list|first",
    "'__class__' if true else 'a'", "none or '__class__'", "'__class__'|default('')",
    "missing|default('__class__')", "['__class__']|random", "'__class__,a'|replace(',a', '')",
    "('__class__'|list)|join", "'__class__'|urlencode",
    "'__Class__'|lower|trim", "bos_token", "strftime_now('__class__')",
    "['__class__']|map('lower')|first", "'\\x5f\\x5fclass\\x5f\\x5f'",
    "'__class__'.encode().decode()",
]  # fmt: skip


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("way",
    ["{{ cycler[%s] }}", "{%% set n = %s %%}{{ x[n] }}",
        "{%% macro m(a) %%}{{ x[a] }}{%% endmacro %%}{{ m(%s) }}",
                                 "{%% for n in [%s] %%}{{ x[n] }}{%% endfor %%}",
                                 "{%% set s = namespace(n='') %%}{%% set s.n = %s %%}{{ x[s.n] }}",
                                 "{%% with n = %s %%}{{ x[n] }}{%% endwith %%}",
                                 "{{ [x]|map(attribute=%s)|list }}"])  # fmt: skip
def test_a_name_that_is_spelled_out_is_found(name: str, way: str) -> None:
    assert chat_templates.oddities(way % name)


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_second_spelled_name_behind_the_first_is_an_error(name: str) -> None:
    second = name.replace("class", "globals").replace("ssalc", "slabolg")
    told = chat_templates.oddities(f"{{{{ cycler[{name}][{second}].os }}}}")
    assert told[0].severity is Severity.ERROR


@pytest.mark.parametrize(
    "template",
    [
        "{{ [cycler]|map(attribute='__init__')|list }}",
        "{{ [cycler]|groupby('a.__init__')|list }}", "{{ [x]|selectattr('__class__')|list }}",
        "{{ [x]|sum(attribute='__class__') }}", "{{ [x]|sort(attribute='__class__') }}",
        "{{ [x]|unique(attribute='__class__') }}",
        "{{ [x]|min(attribute='__class__') }}", "{{ [x]|join(',', '__class__') }}",
        "{{ [x]|map('attr', '__class__')|list }}",
        "{{ [x]|map('a'~'ttr', y)|list }}", "{{ [[x]]|map('map', attribute='__class__')|list }}",
        "{{ [x]|map(**{'attribute': '__class__'})|list }}",
        "{{ '{0.__class__}'.format(x) }}", "{{ ('{0.__cla' ~ 'ss__}').format(x) }}",
        "{{ x['os']() }}", "{{ (x or y)() }}", "{{ x()() }}",
        "{% set f = x.y %}{{ f('ls') }}", "{% do x.__init__ %}",
        "{% call x.__init__() %}{% endcall %}", "{% filter attr('x') %}a{% endfilter %}",
        "{% for x.__class__ in y %}{% endfor %}", "{% set ns.__class__ = 1 %}",
        "{{ x.gi_frame.f_globals }}", "{{ [g]|map(attribute='gi_frame')|list }}",
        "{{ cycler.__init__", "{{ self._TemplateReference__context }}", "{{ loop['__class__'] }}",
        "{{ caller['__class__']() }}",
    ],
)  # fmt: skip
def test_ways_into_python_are_errors(template: str) -> None:
    assert chat_templates.oddities(template)[0].severity is Severity.ERROR


@pytest.mark.parametrize(
    "template",
    ["{{ open('/etc/passwd') }}", "{{ messages.popen('x') }}", "{{ [x]|groupby('a.b')|list }}",
        "{{ [x]|map(attribute=y)|list }}",
     "{% extends 'x' %}", "{% from 'x' import y %}", "{{ 'a' * 100000000 }}", "{{ 9 ** 9 ** 9 }}",
     "{% if %}", "{% trans %}a{% endtrans %}",
     "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
     "{{ " + "9" * 5000 + " }}", "{{ " + "(" * 5000],
)  # fmt: skip
def test_what_no_conversation_needs_is_a_warning(template: str) -> None:
    assert [oddity.severity for oddity in chat_templates.oddities(template)] == [Severity.WARNING]


def test_variables_that_depend_on_each_other_in_long_circles_are_told() -> None:
    chain = (
        "".join(f"{{% set a{n} = a{n + 1} %}}" for n in range(60))
        + "{% set a60 = '__cla' ~ 'ss__' %}{{ x[a0] }}"
    )
    assert chat_templates.oddities(chain)


def test_the_end_of_a_long_template_is_looked_at() -> None:
    late = "{# " + "a" * (900 << 10) + " #}{{ cycler.__init__ }}"
    assert chat_templates.oddities(late)[0].severity is Severity.ERROR


@given(st.text(alphabet="{}%#'\"_[]().|~+abc \n", max_size=120))
def test_no_text_makes_the_reader_stumble(template: str) -> None:
    for oddity in chat_templates.oddities(template):
        assert oddity.reason
