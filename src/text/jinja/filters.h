// Jinja's filters and tests by name, and its global functions.
#pragma once

#include <string_view>
#include <vector>

#include "text/jinja/interpreter.h"

namespace weir::jinja {

struct FilterEntry {
  std::string_view name;
  Value (*run)(Interpreter& in, const Value& value, const CallArgs& args);
};
struct TestEntry {
  std::string_view name;
  bool (*run)(Interpreter& in, const Value& value, const CallArgs& args);
};
struct FunctionEntry {
  std::string_view name;
  Value (*run)(Interpreter& in, const CallArgs& args);
  const char* type;  // its Python type: a class is called as a function is
};

/// Row of a filter or test, -1 if there is none. Rows are stable for the life of the program.
int find_filter(std::string_view name);
int find_test(std::string_view name);
const FilterEntry& filter_at(int row);
const TestEntry& test_at(int row);

/// The global functions: range, dict, namespace, cycler, joiner, lipsum (which refuses),
/// raise_exception, strftime_now.
const std::vector<FunctionEntry>& functions();

extern const std::vector<FilterEntry> kTextFilters;
extern const std::vector<FilterEntry> kSequenceFilters;

/// Splits "a.b.0" into the keys that the attribute argument of map, sort, … follows.
std::vector<Value> attribute_path(const Value& attribute);
Value follow_path(Budget& budget, Value item, const std::vector<Value>& path,
                  const Value* otherwise = nullptr);

}  // namespace weir::jinja
