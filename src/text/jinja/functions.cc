// The global functions of a template. There is no way from here to anything of the host.
#include <array>
#include <ctime>
#include <functional>

#include "text/jinja/filters.h"
#include "text/jinja/repr.h"

namespace weir::jinja {
namespace {

constexpr std::size_t kMaxRange = 100'000;  // of the reference's sandbox

Value range(Interpreter& in, const CallArgs& args) {
  if (!args.named.empty()) raise("TypeError", "range() takes no keyword arguments");
  const std::size_t count = args.positional.size();
  if (count == 0 || count > 3) {
    raise("TypeError", "range expected {}, got {}",
          count == 0 ? "at least 1 argument" : "at most 3 arguments", count);
  }
  const auto part = [&](std::size_t i) { return index_of(args.positional[i], "range()"); };
  const std::int64_t start = count > 1 ? part(0) : 0;
  const std::int64_t stop = count > 1 ? part(1) : part(0);
  const std::int64_t step = count > 2 ? part(2) : 1;
  if (step == 0) raise("ValueError", "range() arg 3 must not be zero");
  Value out = make_range(in.budget(), start, stop, step);
  if (out.as<RangeValue>().length > kMaxRange) {
    raise("OverflowError", "Range too big. The sandbox blocks ranges larger than MAX_RANGE ({}).",
          kMaxRange);
  }
  return out;
}

// What dict(...) and namespace(...) accept: one mapping or list of pairs, then names.
void fill(Interpreter& in, const CallArgs& args, std::string_view name,
          const std::function<void(const Value&, const Value&)>& set) {
  if (args.positional.size() > 1) {
    raise("TypeError", "{} expected at most 1 argument, got {}", name, args.positional.size());
  }
  if (!args.positional.empty()) {
    const Value& source = args.positional[0];
    if (source.is(Kind::dict)) {
      for (const auto& [key, value] : source.as<Dict>().items) {
        in.budget().step();
        set(key, value);
      }
    } else {
      for (const Value& pair : collect(in.budget(), source)) {
        const std::vector<Value> parts = collect(in.budget(), pair);
        if (parts.size() != 2) {
          raise("ValueError", "dictionary update sequence element has length {}; 2 is required",
                parts.size());
        }
        check_hashable(in.budget(), parts[0]);
        set(parts[0], parts[1]);
      }
    }
  }
  for (const auto& [key, value] : args.named) set(Value::constant(key), value);
}

Value dict(Interpreter& in, const CallArgs& args) {
  auto out = std::make_shared<Dict>(&in.budget());
  fill(in, args, "dict", [&](const Value& key, const Value& value) { out->set(key, value); });
  return make_dict(out);
}

Value name_space(Interpreter& in, const CallArgs& args) {
  Value out = in.make_namespace();
  fill(in, args, "namespace", [&](const Value& key, const Value& value) {
    if (key.is_string()) out.as<Namespace>().set(key.bytes(), value);
    in.budget().step(out.as<Namespace>().fields.size() / 32);
  });
  return out;
}

Value cycler(Interpreter& in, const CallArgs& args) {
  if (!args.named.empty()) raise("TypeError", "cycler() takes no keyword arguments");
  if (args.positional.empty()) {
    raise("RuntimeError", "at least one item has to be provided");
  }
  Value out(Kind::cycler,
            std::make_shared<Cycler>(&in.budget(), std::vector<Value>(args.positional)));
  check_depth(in.budget(), depth_of(out));
  return out;
}

Value joiner(Interpreter& in, const CallArgs& args) {
  const Bound bound("joiner", args, {"sep"});
  Value out(Kind::joiner,
            std::make_shared<Joiner>(&in.budget(),
                                     bound[0] != nullptr ? *bound[0] : Value::constant(", ")));
  check_depth(in.budget(), depth_of(out));
  return out;
}

Value lipsum(Interpreter&, const CallArgs&) {
  raise("TemplateRuntimeError", "lipsum() is random text, which a chat template cannot want");
}

Value raise_exception(Interpreter& in, const CallArgs& args) {
  const Bound bound("raise_exception", args, {"message"}, 1);
  const Value text = to_text(in.budget(), *bound[0]);
  constexpr std::size_t kLongest = 1000;
  const std::string_view bytes = text.bytes();
  throw Raise{"TemplateError", bytes.size() <= kLongest ? std::string(bytes) : quoted_short(bytes)};
}

Value strftime_now(Interpreter& in, const CallArgs& args) {
  const Bound bound("strftime_now", args, {"format"}, 1);
  if (!bound[0]->is_string()) {
    raise("TypeError", "strftime() argument 1 must be str, not {}", type_name(*bound[0]));
  }
  if (bound[0]->bytes().empty()) return *bound[0];
  std::array<char, 1024> buffer{};
  const std::size_t size =
      std::strftime(buffer.data(), buffer.size(), bound[0]->text().bytes.c_str(), &in.now());
  if (size == 0) {
    raise("ValueError", "strftime_now: the date does not fit in {} bytes", buffer.size());
  }
  return make_text(in.budget(), std::string(buffer.data(), size), bound[0]->text().all_trusted());
}

}  // namespace

const std::vector<FunctionEntry>& functions() {
  static const std::vector<FunctionEntry> kFunctions = {
      {"range", range, "function"},
      {"dict", dict, "type"},
      {"namespace", name_space, "type"},
      {"cycler", cycler, "type"},
      {"joiner", joiner, "type"},
      {"lipsum", lipsum, "function"},
      {"raise_exception", raise_exception, "function"},
      {"strftime_now", strftime_now, "function"},
  };
  return kFunctions;
}

}  // namespace weir::jinja
