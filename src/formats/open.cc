// Sniffing of model files and folders; see open.h.
#include "formats/open.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "base/error.h"
#include "formats/gguf.h"
#include "formats/limits.h"
#include "formats/safetensors.h"

namespace weir {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kIndexName = "model.safetensors.index.json";
constexpr std::array<std::string_view, 5> kDocuments = {
    "config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json",
    "chat_template.jinja"};

/// Beginnings of foreign files and what to say about them.
struct Foreign {
  std::string_view magic;
  std::string_view what;
};
using namespace std::string_view_literals;
constexpr std::array kForeign = {
    Foreign{"PK\x03\x04"sv,
            "a zip archive (PyTorch checkpoint?), which may hold program code and is never opened; "
            "convert it to safetensors or GGUF"sv},
    Foreign{"\x1f\x8b"sv, "gzip-compressed; unpack it first"sv},
    Foreign{"\x28\xb5\x2f\xfd"sv, "zstd-compressed; unpack it first"sv},
    Foreign{"\x89HDF"sv, "an HDF5 file (Keras?); convert the model to safetensors or GGUF"sv},
    Foreign{"lmgg"sv, "an old GGML file; convert the model to GGUF again"sv},
    Foreign{"fmgg"sv, "an old GGMF file; convert the model to GGUF again"sv},
    Foreign{"tjgg"sv, "an old GGJT file; convert the model to GGUF again"sv},
    Foreign{"FUGG"sv, "a byte-swapped GGUF; expected little-endian"sv},
    Foreign{"version https://git-lfs"sv,
            "a Git LFS pointer, not the model itself; run git lfs pull to get it"sv},
    Foreign{"<!DOCTYPE"sv, "a web page, not a model; the download went wrong"sv},
    Foreign{"<html"sv, "a web page, not a model; the download went wrong"sv},
};

constexpr std::string_view kExpected = "expected a GGUF file, a safetensors file or a model folder";

/// Pickle protocol 2 to 5 begins with 0x80 and the protocol number.
bool is_pickle(std::string_view head) {
  return head.size() >= 2 && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5;
}

/// ONNX is a protobuf whose first field is ir_version (a small number).
bool is_onnx(std::string_view head, const fs::path& path) {
  return head.size() >= 2 && head[0] == '\x08' && head[1] >= 1 && head[1] <= 20 &&
         (path.extension() == ".onnx" || (head.size() > 2 && head[2] == '\x12'));
}

/// The first bytes hold a length and then the '{' of the header.
bool is_safetensors(std::string_view head) {
  return head.size() > 8 && head[8] == '{' && head[5] == 0 && head[6] == 0 && head[7] == 0;
}

bool is_text(std::string_view head) {
  return std::ranges::all_of(head, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x80 || byte >= 0x20 || c == '\n' || c == '\r' || c == '\t' || c == '\f';
  });
}

[[noreturn]] void refuse(const fs::path& path, std::string_view what) {
  fail(Code::unsupported, "{} is {}", path.string(), what);
}

void attach_documents(Checkpoint::Parts& parts, const fs::path& folder) {
  for (const std::string_view name : kDocuments) {
    const fs::path path = folder / name;
    if (fs::exists(path)) parts.documents.emplace(name, read_file(path, limits::kDocumentBytes));
  }
}

Checkpoint open_safetensors(const fs::path& file, const fs::path& named) {
  Checkpoint::Parts parts = read_safetensors(file).take_parts();
  parts.path = named;
  attach_documents(parts, file.parent_path());
  return Checkpoint(std::move(parts));
}

/// The files of a folder with this extension.
std::vector<fs::path> with_extension(const fs::path& folder, std::string_view extension) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (entry.path().extension() == extension) found.push_back(entry.path());
  if (error) fail(Code::io, "cannot list {}: {}", folder.string(), error.message());
  std::ranges::sort(found);
  return found;
}

Checkpoint open_folder(const fs::path& folder) {
  if (!fs::exists(folder / "config.json")) {
    const auto gguf = with_extension(folder, ".gguf");
    fail(Code::unsupported, "{} is a directory without config.json, so not a model folder; {}",
         folder.string(),
         gguf.empty() ? std::string(kExpected)
                      : fmt::format("name the file: {}", gguf.front().string()));
  }
  if (fs::exists(folder / kIndexName)) return open_safetensors(folder / kIndexName, folder);
  if (fs::exists(folder / "model.safetensors"))
    return open_safetensors(folder / "model.safetensors", folder);
  const auto files = with_extension(folder, ".safetensors");
  if (files.size() == 1) return open_safetensors(files.front(), folder);
  if (files.size() > 1)
    fail(Code::bad_format, "{} holds {} .safetensors files but no {}, expected one or the other",
         folder.string(), files.size(), kIndexName);
  for (const std::string_view extension : {".bin", ".pt", ".pth", ".ckpt"})
    if (const auto pickles = with_extension(folder, extension); !pickles.empty())
      refuse(folder,
             fmt::format("a model folder with weights only in {} (pickle), which may hold program "
                         "code and is never opened; convert them to safetensors",
                         pickles.front().filename().string()));
  fail(Code::not_found, "{} has a config.json but no .safetensors file, expected model.safetensors",
       folder.string());
}

[[noreturn]] void refuse_foreign(const fs::path& path, std::string_view head) {
  for (const Foreign& foreign : kForeign)
    if (head.starts_with(foreign.magic)) refuse(path, foreign.what);
  if (is_pickle(head))
    refuse(path,
           "a pickle file (PyTorch checkpoint?), which may hold program code and is never opened; "
           "convert it to safetensors or GGUF");
  if (is_onnx(head, path))
    refuse(path, "an ONNX model, which Weir does not read yet; use GGUF or safetensors");
  if (is_text(head))
    refuse(path, path.extension() == ".json"
                     ? "a JSON file, not a model; name the folder that holds it"
                     : fmt::format("a text file, not a model; {}", kExpected));
  refuse(path, fmt::format("not a model file that Weir knows (it begins with {:02x}); {}",
                           fmt::join(std::as_bytes(std::span(head.substr(0, 4))), " "), kExpected));
}

}  // namespace

Checkpoint open_checkpoint(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return open_folder(path);
  const auto mapping = MappedFile::open(path);
  const auto bytes = mapping->bytes();
  if (bytes.empty())
    fail(Code::bad_format, "{} is empty (0 bytes); the download or copy went wrong", path.string());
  const std::string_view head(reinterpret_cast<const char*>(bytes.data()),
                              std::min<size_t>(bytes.size(), 512));
  if (head.starts_with("GGUF")) return read_gguf(mapping);
  if (is_safetensors(head)) return open_safetensors(path, path);
  if (path.filename().string().ends_with(".safetensors.index.json"))
    return open_safetensors(path, path);
  if (head.size() < 4 && std::string_view("GGUF").starts_with(head)) return read_gguf(mapping);
  refuse_foreign(path, head);
}

}  // namespace weir
