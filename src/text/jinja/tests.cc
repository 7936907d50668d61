// Jinja's tests (x is y), and the tables by which filters and tests are found.
#include <algorithm>
#include <array>

#include "text/jinja/filters.h"
#include "text/jinja/methods.h"
#include "text/jinja/repr.h"

namespace weir::jinja {
namespace {

void no_arguments(const CallArgs& args) { const Bound bound("test", args, {}); }

template <bool (*holds)(const Value&)>
bool simple(Interpreter&, const Value& value, const CallArgs& args) {
  no_arguments(args);
  return holds(value);
}

template <CompareOp op>
bool compares(Interpreter& in, const Value& value, const CallArgs& args) {
  const Bound bound("test", args, {"other"}, 1);
  return compare(in.budget(), op, value, *bound[0]);
}

bool is_defined(const Value& value) { return !value.is_undefined(); }
bool is_undefined(const Value& value) { return value.is_undefined(); }
bool is_none(const Value& value) { return value.is_none(); }
bool is_boolean(const Value& value) { return value.is(Kind::boolean); }
bool is_true(const Value& value) { return value.is(Kind::boolean) && value.as_integer() != 0; }
bool is_false(const Value& value) { return value.is(Kind::boolean) && value.as_integer() == 0; }
bool is_integer(const Value& value) { return value.is(Kind::integer); }
bool is_float(const Value& value) { return value.is(Kind::real); }
bool is_number(const Value& value) { return value.is_number(); }
bool is_string(const Value& value) { return value.is_string(); }
bool is_mapping(const Value& value) { return value.is(Kind::dict); }
bool is_escaped(const Value& value) { return value.is_string() && value.text().markup; }

bool is_sequence(const Value& value) {
  return has_length(value) && !value.is(Kind::view) && !value.is(Kind::loop);
}

bool is_callable(const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:  // the reference's Undefined has __call__
    case Kind::macro:
    case Kind::loop:
    case Kind::method:
    case Kind::function:
    case Kind::joiner:
      return true;
    default:
      return false;
  }
}

bool has_case(Interpreter& in, const Value& value, std::string_view method) {
  return truthy(find_text_method(method)->run(in, to_text(in.budget(), value), {}));
}
bool is_lower(Interpreter& in, const Value& value, const CallArgs& args) {
  no_arguments(args);
  return has_case(in, value, "islower");
}
bool is_upper(Interpreter& in, const Value& value, const CallArgs& args) {
  no_arguments(args);
  return has_case(in, value, "isupper");
}

bool leaves(Interpreter& in, const Value& value, const Value& divisor, std::int64_t rest) {
  return equal(in.budget(), binary(in.budget(), BinaryOp::mod, value, divisor),
               Value::integer(rest));
}
bool is_odd(Interpreter& in, const Value& value, const CallArgs& args) {
  no_arguments(args);
  return leaves(in, value, Value::integer(2), 1);
}
bool is_even(Interpreter& in, const Value& value, const CallArgs& args) {
  no_arguments(args);
  return leaves(in, value, Value::integer(2), 0);
}
bool is_divisible(Interpreter& in, const Value& value, const CallArgs& args) {
  const Bound bound("test_divisibleby", args, {"num"}, 1);
  return leaves(in, value, *bound[0], 0);
}

bool is_same(Interpreter& in, const Value& value, const CallArgs& args) {
  const Bound bound("test_sameas", args, {"other"}, 1);
  if (value.kind() != bound[0]->kind()) return false;
  if (value.object() != nullptr) return value.object() == bound[0]->object();
  return equal(in.budget(), value, *bound[0]);
}

bool is_filter(Interpreter&, const Value& value, const CallArgs& args) {
  no_arguments(args);
  return value.is_string() && find_filter(value.bytes()) >= 0;
}
bool is_test(Interpreter&, const Value& value, const CallArgs& args) {
  no_arguments(args);
  return value.is_string() && find_test(value.bytes()) >= 0;
}

constexpr auto kEqual = compares<CompareOp::eq>;
const std::vector<TestEntry> kTests = {
    {"!=", compares<CompareOp::ne>},
    {"<", compares<CompareOp::lt>},
    {"<=", compares<CompareOp::le>},
    {"==", kEqual},
    {">", compares<CompareOp::gt>},
    {">=", compares<CompareOp::ge>},
    {"boolean", simple<is_boolean>},
    {"callable", simple<is_callable>},
    {"defined", simple<is_defined>},
    {"divisibleby", is_divisible},
    {"eq", kEqual},
    {"equalto", kEqual},
    {"escaped", simple<is_escaped>},
    {"even", is_even},
    {"false", simple<is_false>},
    {"filter", is_filter},
    {"float", simple<is_float>},
    {"ge", compares<CompareOp::ge>},
    {"greaterthan", compares<CompareOp::gt>},
    {"gt", compares<CompareOp::gt>},
    {"in", compares<CompareOp::in>},
    {"integer", simple<is_integer>},
    {"iterable", simple<is_iterable>},
    {"le", compares<CompareOp::le>},
    {"lessthan", compares<CompareOp::lt>},
    {"lower", is_lower},
    {"lt", compares<CompareOp::lt>},
    {"mapping", simple<is_mapping>},
    {"ne", compares<CompareOp::ne>},
    {"none", simple<is_none>},
    {"number", simple<is_number>},
    {"odd", is_odd},
    {"sameas", is_same},
    {"sequence", simple<is_sequence>},
    {"string", simple<is_string>},
    {"test", is_test},
    {"true", simple<is_true>},
    {"undefined", simple<is_undefined>},
    {"upper", is_upper},
};

template <typename Entry>
int row_of(const std::vector<Entry>& table, std::string_view name) {
  const auto found = std::lower_bound(
      table.begin(), table.end(), name,
      [](const Entry& entry, std::string_view wanted) { return entry.name < wanted; });
  if (found == table.end() || found->name != name) return -1;
  return static_cast<int>(found - table.begin());
}

}  // namespace

int find_filter(std::string_view name) {
  if (const int row = row_of(kTextFilters, name); row >= 0) return row;
  const int row = row_of(kSequenceFilters, name);
  return row < 0 ? -1 : row + static_cast<int>(kTextFilters.size());
}

int find_test(std::string_view name) { return row_of(kTests, name); }

const FilterEntry& filter_at(int row) {
  const auto index = static_cast<std::size_t>(row);
  return index < kTextFilters.size() ? kTextFilters[index]
                                     : kSequenceFilters[index - kTextFilters.size()];
}

const TestEntry& test_at(int row) { return kTests[static_cast<std::size_t>(row)]; }

}  // namespace weir::jinja
