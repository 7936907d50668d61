// Event handlers for the two JSON texts of safetensors; see safetensors_json.h.
#include "formats/safetensors_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "formats/json_guard.h"
#include "formats/limits.h"
#include "formats/quote.h"

namespace weir {
namespace {

/// Receives the JSON events of a header or an index. Subclasses say what each place may hold;
/// whatever is not expected is refused here.
class Events : public nlohmann::json_sax<nlohmann::json> {
 public:
  Events(std::string_view source, uint64_t base) : source_(source), base_(base) {}

  bool null() override { unexpected("null"); }
  bool boolean(bool) override { unexpected("a boolean"); }
  bool number_float(number_float_t, const string_t&) override { unexpected("a fraction"); }
  bool number_integer(number_integer_t) override { unexpected("a negative number"); }
  bool binary(binary_t&) override { unexpected("binary data"); }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) override {
    fail(Code::bad_format, "{}: JSON at byte {}: not valid JSON", source_, base_ + position);
  }

 protected:
  /// What is being read, for messages.
  virtual std::string place() const = 0;

  [[noreturn]] void unexpected(std::string_view found) const {
    fail(Code::bad_format, "{}: {}: unexpected {}", source_, place(), found);
  }
  template <typename... Args>
  [[noreturn]] void refuse(Code code, fmt::format_string<Args...> format, Args&&... args) const {
    throw Error(code, fmt::format("{}: {}: {}", source_, place(),
                                  fmt::format(format, std::forward<Args>(args)...)));
  }
  const std::string_view source_;

 private:
  uint64_t base_;
};

/// {"__metadata__": {text: text}, NAME: {"dtype": …, "shape": […], "data_offsets": [b, e]}}
class HeaderEvents final : public Events {
 public:
  explicit HeaderEvents(std::string_view source) : Events(source, sizeof(uint64_t)) {}

  SafetensorsHeader header;

  bool start_object(size_t) override {
    switch (at_) {
      case At::start:
        at_ = At::names;
        return true;
      case At::name_seen:
        if (name_ == "__metadata__") {
          if (std::exchange(has_notes_, true)) refuse(Code::bad_format, "appears twice");
          at_ = At::notes;
          return true;
        }
        if (header.tensors.size() == limits::kTensors)
          refuse(Code::limit_exceeded, "more than {} tensors", limits::kTensors);
        header.tensors.emplace_back().entry.name = name_;
        seen_ = {};
        at_ = At::entry;
        return true;
      default:
        unexpected("an object");
    }
  }

  bool key(string_t& text) override {
    switch (at_) {
      case At::names:
        if (text.empty() || text.size() > limits::kSafetensorsNameBytes)
          refuse(Code::bad_format, "tensor name {} has {} bytes, expected 1 to {}", quote(text),
                 text.size(), limits::kSafetensorsNameBytes);
        name_ = text;
        at_ = At::name_seen;
        return true;
      case At::notes:
        note_ = text;
        at_ = At::note_value;
        return true;
      case At::entry:
        return field(text);
      default:
        unexpected("a key");
    }
  }

  bool string(string_t& text) override {
    if (at_ == At::note_value) {
      if (header.notes.count() == limits::kMetadataEntries)
        refuse(Code::limit_exceeded, "more than {} entries", limits::kMetadataEntries);
      header.notes.add(note_, text);
      at_ = At::notes;
      return true;
    }
    if (at_ != At::dtype) unexpected("a string");
    const auto it = std::ranges::find(kSafetensorsTypes, text, &SafetensorsType::name);
    if (it == kSafetensorsTypes.end())
      refuse(Code::bad_format, "dtype {} is not known to Weir", quote(text));
    header.tensors.back().type = &*it;
    at_ = At::entry;
    return true;
  }

  bool start_array(size_t) override {
    if (at_ == At::shape) {
      at_ = At::extents;
    } else if (at_ == At::offsets) {
      at_ = At::bounds;
    } else {
      unexpected("an array");
    }
    return true;
  }

  bool number_unsigned(number_unsigned_t number) override {
    if (at_ != At::extents && at_ != At::bounds) unexpected("a number");
    SafetensorsTensor& tensor = header.tensors.back();
    if (at_ == At::extents) {
      const auto extent = checked_cast<int64_t>(number);
      if (!extent) refuse(Code::bad_format, "extent {} does not fit 63 bits", number);
      if (tensor.entry.dims.size() == limits::kSafetensorsDims)
        refuse(Code::limit_exceeded, "more than {} dimensions", limits::kSafetensorsDims);
      tensor.entry.dims.push_back(*extent);
    } else {
      if (bounds_ == 2) refuse(Code::bad_format, "data_offsets has more than 2 numbers");
      (bounds_++ == 0 ? tensor.begin : tensor.end) = number;
    }
    return true;
  }

  bool end_array() override {
    if (at_ == At::bounds && bounds_ != 2)
      refuse(Code::bad_format, "data_offsets has {} numbers, expected 2", bounds_);
    // The file lists extents outermost first.
    if (at_ == At::extents) std::ranges::reverse(header.tensors.back().entry.dims);
    at_ = At::entry;
    return true;
  }

  bool end_object() override {
    if (at_ == At::names) {
      at_ = At::done;
      return true;
    }
    if (at_ == At::entry && !(seen_.dtype && seen_.shape && seen_.offsets))
      refuse(Code::bad_format, "lacks {}",
             !seen_.dtype   ? "dtype"
             : !seen_.shape ? "shape"
                            : "data_offsets");
    at_ = At::names;
    return true;
  }

 protected:
  std::string place() const override {
    if (at_ == At::start || at_ == At::names || at_ == At::done) return "safetensors header";
    if (name_ == "__metadata__") return "__metadata__";
    return "tensor " + quote(name_);
  }

 private:
  enum class At {
    start,
    names,      // between tensors
    name_seen,  // before a tensor's object
    notes,      // inside __metadata__
    note_value,
    entry,  // inside a tensor's object
    dtype,
    shape,
    extents,
    offsets,
    bounds,
    done,
  };

  bool field(const std::string& text) {
    const auto once = [&](bool& seen, At next) {
      if (std::exchange(seen, true)) refuse(Code::bad_format, "{} appears twice", text);
      at_ = next;
      return true;
    };
    if (text == "dtype") return once(seen_.dtype, At::dtype);
    if (text == "shape") return once(seen_.shape, At::shape);
    bounds_ = 0;
    if (text == "data_offsets") return once(seen_.offsets, At::offsets);
    refuse(Code::bad_format, "unknown field {}, expected dtype, shape and data_offsets",
           quote(text));
  }

  At at_ = At::start;
  std::string name_;
  std::string note_;
  bool has_notes_ = false;
  int bounds_ = 0;
  struct {
    bool dtype = false, shape = false, offsets = false;
  } seen_;
};

/// {"metadata": {…}, "weight_map": {NAME: FILE}}
class IndexEvents final : public Events {
 public:
  explicit IndexEvents(std::string_view source) : Events(source, 0) {}

  std::map<std::string, std::string> files;  // tensor name → file name

  bool null() override { return ignored(); }
  bool boolean(bool) override { return ignored(); }
  bool number_float(number_float_t, const string_t&) override { return ignored(); }
  bool number_integer(number_integer_t) override { return ignored(); }
  bool number_unsigned(number_unsigned_t) override { return ignored(); }
  bool start_array(size_t) override {
    if (depth_ == 0 || in_map_) unexpected("an array");
    ++depth_;
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool start_object(size_t) override {
    if (in_map_) unexpected("an object");
    ++depth_;
    if (depth_ == 2 && top_key_ == "weight_map") {
      if (std::exchange(has_map_, true)) refuse(Code::bad_format, "appears twice");
      in_map_ = true;
    }
    return true;
  }
  bool end_object() override {
    --depth_;
    in_map_ = false;
    return true;
  }
  bool key(string_t& text) override {
    if (depth_ == 1) top_key_ = text;
    if (!in_map_) return true;
    if (files.size() == limits::kTensors)
      refuse(Code::limit_exceeded, "more than {} tensors", limits::kTensors);
    current_ = files.try_emplace(text);
    if (!current_.second) refuse(Code::bad_format, "tensor {} appears twice", quote(text));
    return true;
  }
  bool string(string_t& text) override {
    if (!in_map_) return ignored();
    // A plain name only: an index must not reach outside its own folder.
    if (text.empty() || text.front() == '.' || text.find_first_of("/\\") != std::string::npos ||
        text.find('\0') != std::string::npos || !text.ends_with(".safetensors"))
      refuse(Code::bad_format, "{} is not a plain file name ending in .safetensors", quote(text));
    current_.first->second = text;
    return true;
  }

 protected:
  std::string place() const override { return in_map_ ? "weight_map" : "index"; }

 private:
  bool ignored() const {
    if (depth_ == 0 || in_map_) unexpected("value");
    return true;
  }
  size_t depth_ = 0;
  bool in_map_ = false;
  bool has_map_ = false;
  std::string top_key_;
  std::pair<std::map<std::string, std::string>::iterator, bool> current_;
};

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view text, std::string_view source) {
  guard_json(text, limits::kJsonDepth, limits::kJsonTokenBytes, source, sizeof(uint64_t));
  HeaderEvents events(source);
  nlohmann::json::sax_parse(text.begin(), text.end(), &events);
  return std::move(events.header);
}

std::map<std::string, std::string> parse_safetensors_index(std::string_view text,
                                                           std::string_view source) {
  guard_json(text, limits::kJsonDepth, limits::kJsonTokenBytes, source, 0);
  IndexEvents events(source);
  nlohmann::json::sax_parse(text.begin(), text.end(), &events);
  if (events.files.empty())
    fail(Code::bad_format, "{}: no weight_map, expected the list of tensors and their files",
         source);
  return std::move(events.files);
}

}  // namespace weir
