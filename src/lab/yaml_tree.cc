#include "lab/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <charconv>
#include <limits>
#include <optional>
#include <sstream>
#include <unordered_set>

#include "base/error.h"

namespace weir {
namespace {

/// Builds the tree from the parser's events. Open nodes lie on a stack of its own, so that depth
/// costs no stack of the thread.
class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const std::string& source) : source_(source) {}

  YamlNode take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (std::exchange(started_, true))
      refuse(mark, "a second document; expected one (remove the line '---')");
    root_ = YamlNode{line_of(mark), YamlNode::Map()};
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    check(mark, "", anchor);
    add({line_of(mark), YamlNode::Scalar{"", false}});
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    refuse(mark, "an alias (*name); write the value out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check(mark, tag, anchor);
    // The parser's tag for quoted scalars is "!", for plain ones "?".
    add({line_of(mark), YamlNode::Scalar{value, tag == "!"}});
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, YamlNode::List());
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, YamlNode::Map());
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    YamlNode node;
    std::optional<YamlMember> member;  // of a map: its key has come, its value has not
    std::unordered_set<std::string> keys;
  };

  static int line_of(const YAML::Mark& mark) { return mark.line + 1; }

  [[noreturn]] void refuse(const YAML::Mark& mark, std::string_view what) const {
    fail(Code::bad_format, "{}:{}: {}", source_, line_of(mark), what);
  }

  void check(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) refuse(mark, "an anchor (&name); write the value out");
    if (!tag.empty() && tag != "!" && tag != "?")
      refuse(mark, "a tag (!type); types follow from the values");
    if (++nodes_ > kMaxYamlNodes)
      fail(Code::limit_exceeded, "{}:{}: more than {} values", source_, line_of(mark),
           kMaxYamlNodes);
  }

  template <typename Kind>
  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Kind kind) {
    check(mark, tag, anchor);
    if (!open_.empty() && std::holds_alternative<YamlNode::Map>(open_.back().node.value) &&
        !open_.back().member)
      refuse(mark, "a key that is a list or a map; keys are words");
    if (open_.size() >= kMaxYamlDepth)
      fail(Code::limit_exceeded, "{}:{}: nested deeper than {} levels", source_, line_of(mark),
           kMaxYamlDepth);
    open_.push_back({YamlNode{line_of(mark), std::move(kind)}, std::nullopt, {}});
  }

  void close() {
    YamlNode node = std::move(open_.back().node);
    open_.pop_back();
    add(std::move(node));
  }

  void add(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    if (auto* list = std::get_if<YamlNode::List>(&parent.node.value)) {
      list->push_back(std::move(node));
    } else if (parent.member) {
      parent.member->node = std::move(node);
      std::get<YamlNode::Map>(parent.node.value).push_back(std::move(*parent.member));
      parent.member.reset();
    } else {
      const std::string& key = std::get<YamlNode::Scalar>(node.value).text;
      if (!parent.keys.insert(key).second)
        fail(Code::bad_format, "{}:{}: the key '{}' stands here twice", source_, node.line,
             key.substr(0, 64));
      parent.member = YamlMember{key, node.line, {}};
    }
  }

  const std::string& source_;
  YamlNode root_;
  std::vector<Open> open_;
  size_t nodes_ = 0;
  bool started_ = false;
};

OptionValue plain_value(const std::string& text) {
  if (text.empty() || text == "~" || text == "null") return {};
  if (text == "true") return {true};
  if (text == "false") return {false};
  if (text == ".inf" || text == "+.inf") return {std::numeric_limits<double>::infinity()};
  if (text == "-.inf") return {-std::numeric_limits<double>::infinity()};
  const char* begin = text.data() + (text[0] == '+' ? 1 : 0);
  const char* end = text.data() + text.size();
  const auto whole = [&](auto number) -> std::optional<OptionValue> {
    const auto [last, error] = std::from_chars(begin, end, number);
    if (error != std::errc() || last != end) return std::nullopt;
    return OptionValue{number};
  };
  if (auto value = whole(int64_t{})) return *value;
  if (auto value = whole(uint64_t{})) return *value;
  // from_chars would also take "inf" and "nan", which are words in YAML.
  if (text.find_first_not_of("+-.0123456789eE") == std::string::npos)
    if (auto value = whole(double{})) return *value;
  return {text};
}

}  // namespace

YamlNode parse_yaml(std::string_view text, const std::string& source) {
  if (text.size() > kMaxYamlBytes)
    fail(Code::limit_exceeded, "{} has {} bytes, the limit for a settings file is {}", source,
         text.size(), kMaxYamlBytes);
  std::istringstream stream{std::string(text)};
  TreeBuilder builder(source);
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    fail(Code::bad_format, "{}:{}: not YAML: {}", source, error.mark.line + 1, error.msg);
  }
  YamlNode root = builder.take();
  // Only comments, or only "---".
  if (const auto* scalar = std::get_if<YamlNode::Scalar>(&root.value))
    if (scalar->text.empty() && !scalar->quoted) root.value = YamlNode::Map();
  return root;
}

OptionValue yaml_value(const YamlNode& node, OptionType type) {
  if (const auto* scalar = std::get_if<YamlNode::Scalar>(&node.value)) {
    const bool wants_text = type == OptionType::text || type == OptionType::text_list;
    return scalar->quoted || wants_text ? OptionValue{scalar->text} : plain_value(scalar->text);
  }
  if (const auto* list = std::get_if<YamlNode::List>(&node.value)) {
    OptionList items;
    for (const YamlNode& item : *list) items.push_back(yaml_value(item, type));
    return {std::move(items)};
  }
  OptionObject members;
  for (const YamlMember& member : std::get<YamlNode::Map>(node.value))
    members.push_back({member.key, yaml_value(member.node, type)});
  return {std::move(members)};
}

}  // namespace weir
