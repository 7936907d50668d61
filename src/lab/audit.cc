// The audit of policy.h: the model file's bytes against what was approved, and the memory of files
// that matched. A line there is bound to path, inode, size and both times of the file: whoever can
// forge them (or write the user's cache folder) could also change this program.
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "base/file_io.h"
#include "base/hash.h"
#include "lab/policy.h"

namespace weir {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kHeading = "weir verified files 1\n";
constexpr size_t kMostLines = 256;

FileStatus status_of(const fs::path& path) {
  FileIo& io = real_file_io();
  const OpenFile file(io, uninterrupted([&] { return io.open(path, OpenMode::read); }));
  FileStatus status;
  const int error = file.get() < 0 ? file.get() : io.status(file.get(), status);
  if (error < 0) fail(Code::io, "cannot look at {}: {}", path.string(), std::strerror(-error));
  return status;
}

std::string memory_line(const std::string& sha256, const FileStatus& s, const fs::path& path) {
  return fmt::format("{} {} {} {} {} {}\n", sha256, s.bytes, s.inode, s.modified_ns, s.changed_ns,
                     path.string());
}

/// The lines of the memory, newest last; none if there is no such file or it cannot be read.
std::vector<std::string> read_memory(const fs::path& memory) {
  std::vector<std::string> lines;
  if (memory.empty()) return lines;
  std::string text;
  try {
    text = read_file(memory, 1 << 20);
  } catch (const Error&) {
    return lines;
  }
  if (!text.starts_with(kHeading)) return lines;
  for (size_t at = kHeading.size(); at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size() - 1);
    lines.push_back(text.substr(at, end + 1 - at));
    at = end + 1;
  }
  return lines;
}

/// Forgetting costs one more reading of the model, so failures are none.
void remember(const fs::path& memory, const std::string& line) {
  if (memory.empty() || line.find('\n') + 1 != line.size()) return;
  auto lines = read_memory(memory);
  lines.push_back(line);
  const size_t skip = lines.size() - std::min(lines.size(), kMostLines);
  std::string text(kHeading);
  for (size_t i = skip; i < lines.size(); ++i) text += lines[i];
  try {
    std::error_code ignored;
    fs::create_directories(memory.parent_path(), ignored);
    write_file_atomically(memory, text);
  } catch (const Error&) {
    return;
  }
}

bool same_file(const FileStatus& a, const FileStatus& b) {
  return a.bytes == b.bytes && a.inode == b.inode && a.modified_ns == b.modified_ns &&
         a.changed_ns == b.changed_ns;
}

}  // namespace

Audit verify_audit(const Policy& policy, const fs::path& memory_file,
                   const std::function<void(double fraction)>& progress) {
  const AuditPolicy& audit = policy.audit;
  if (!audit.size && audit.sha256.empty()) return Audit::nothing_stated;
  std::error_code missing;
  const fs::path path = fs::canonical(policy.model.path, missing);
  if (missing) fail(Code::not_found, "{}: no such model: {}", policy.file, policy.model.path);
  if (!fs::is_regular_file(path))
    fail(Code::unsupported,
         "{}: 'audit' states size or SHA-256 of one file, but {} is a folder; name a GGUF file",
         policy.file, policy.model.path);
  const FileStatus before = status_of(path);
  if (audit.size && *audit.size != before.bytes)
    fail(Code::invalid_argument, "{}: the model {} has {} bytes, but 'audit' approves {}",
         policy.file, policy.model.path, before.bytes, *audit.size);
  if (audit.sha256.empty()) return Audit::matches;
  std::string approved = audit.sha256;
  std::transform(approved.begin(), approved.end(), approved.begin(),
                 [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c; });
  const std::string line = memory_line(approved, before, path);
  const auto known = read_memory(memory_file);
  if (std::find(known.begin(), known.end(), line) != known.end()) return Audit::matched_before;
  const double bytes = static_cast<double>(std::max<uint64_t>(before.bytes, 1));
  const std::string found = to_hex(sha256_file(path, [&](uint64_t done) {
    if (progress) progress(static_cast<double>(done) / bytes);
  }));
  if (found != approved)
    fail(Code::invalid_argument,
         "{}: the model {} is not the one that was approved: its SHA-256 is {}, 'audit' states {}",
         policy.file, policy.model.path, found, approved);
  if (!same_file(before, status_of(path)))
    fail(Code::unavailable, "{}: the model {} changed while it was read", policy.file,
         policy.model.path);
  remember(memory_file, line);
  return Audit::matches;
}

fs::path default_audit_memory() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && cache[0] == '/') return fs::path(cache) / "weir" / "verified";
  const char* home = std::getenv("HOME");
  if (home != nullptr && home[0] == '/') return fs::path(home) / ".cache" / "weir" / "verified";
  return {};
}

}  // namespace weir
