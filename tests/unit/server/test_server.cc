#include "unit/server/test_server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <thread>

namespace weir::test {
namespace {

PlannedModel fake_model(const FakeOptions& options) {
  PlannedModel planned;
  planned.plan.weights = 100;
  planned.start = [options] { return std::make_unique<FakeEngine>(options); };
  return planned;
}

}  // namespace

TestServer::TestServer(TestServerOptions options)
    : log_text_(std::make_shared<std::pair<std::mutex, std::string>>()),
      log_(LogFormat::text,
           [text = log_text_](std::string_view line) {
             const std::lock_guard lock(text->first);
             text->second += line;
           }),
      registry_(options.models,
                [engine = options.engine](const ModelSource&) { return fake_model(engine); }, {}),
      service_(registry_, metrics_, log_, KeyRing(options.keys), options.hosts, options.limits,
               "9.9.9") {
  ListenOptions listen;
  listen.port = 0;
  server_ = std::make_unique<HttpServer>(listen, service_);
}

FakeEngine& TestServer::engine() {
  return dynamic_cast<FakeEngine&>(registry_.acquire("fake").engine());
}

std::string TestServer::log(int lines) const {
  for (int attempt = 0;; ++attempt) {
    {
      const std::lock_guard lock(log_text_->first);
      const std::string& text = log_text_->second;
      if (attempt == 1000 || std::count(text.begin(), text.end(), '\n') >= lines) return text;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

std::string Response::header(std::string name) const {
  name = "\r\n" + name + ": ";
  const auto lower = [](std::string text) {
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
  };
  const auto at = lower(head).find(lower(name));
  if (at == std::string::npos) return "";
  const auto from = at + name.size();
  return head.substr(from, head.find("\r\n", from) - from);
}

Client::Client(uint16_t port, int receive_buffer) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
  if (receive_buffer > 0)
    setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    close(fd_);
    throw std::runtime_error("cannot connect");
  }
}

Client::~Client() {
  if (fd_ >= 0) close(fd_);
}

bool Client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

std::string Client::read_some() {
  if (!buffer_.empty()) return std::exchange(buffer_, {});
  pollfd wait{fd_, POLLIN, 0};
  if (poll(&wait, 1, static_cast<int>(patience.count())) <= 0) return "";
  char bytes[16384];
  const auto count = recv(fd_, bytes, sizeof bytes, 0);
  return count <= 0 ? "" : std::string(bytes, static_cast<size_t>(count));
}

std::string Client::read_all() {
  std::string all;
  while (true) {
    const std::string more = read_some();
    if (more.empty()) return all;
    all += more;
  }
}

Response Client::read_response() {
  Response response;
  std::string bytes;
  const auto more = [&] {
    const std::string piece = read_some();
    bytes += piece;
    return !piece.empty();
  };
  size_t end = 0;
  while ((end = bytes.find("\r\n\r\n")) == std::string::npos)
    if (!more()) return response;
  response.head = bytes.substr(0, end + 2);
  bytes.erase(0, end + 4);
  response.status = std::stoi(response.head.substr(9, 3));
  if (response.status == 100) {
    buffer_ = bytes;
    return read_response();
  }
  if (response.header("Transfer-Encoding") == "chunked") {
    while (true) {
      size_t line = 0;
      while ((line = bytes.find("\r\n")) == std::string::npos)
        if (!more()) return response;
      const size_t size = std::stoul(bytes.substr(0, line), nullptr, 16);
      while (bytes.size() < line + 2 + size + 2)
        if (!more()) return response;
      response.body += bytes.substr(line + 2, size);
      bytes.erase(0, line + 2 + size + 2);
      if (size == 0) break;
    }
  } else {
    const std::string length = response.header("Content-Length");
    const size_t size = length.empty() ? 0 : std::stoul(length);
    while (bytes.size() < size)
      if (!more()) break;
    response.body = bytes.substr(0, size);
    bytes.erase(0, size);
  }
  buffer_ = bytes;
  return response;
}

void Client::reset() {
  const linger hard{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  close(fd_);
  fd_ = -1;
}

void Client::half_close() { shutdown(fd_, SHUT_WR); }

bool Client::closed_by_server() {
  pollfd wait{fd_, POLLIN, 0};
  if (poll(&wait, 1, static_cast<int>(patience.count())) <= 0) return false;
  char byte = 0;
  return recv(fd_, &byte, 1, MSG_PEEK) <= 0;
}

std::string post_bytes(const std::string& path, const std::string& body,
                       const std::string& headers) {
  return "POST " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n" +
         headers + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

Response request(uint16_t port, const std::string& method, const std::string& path,
                 const std::string& body, const std::string& headers) {
  Client client(port);
  if (method == "POST")
    client.send(post_bytes(path, body, headers));
  else
    client.send(method + " " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\n" + headers + "\r\n");
  return client.read_response();
}

std::vector<std::string> sse_data(const std::string& body) {
  std::vector<std::string> data;
  size_t at = 0;
  while ((at = body.find("data: ", at)) != std::string::npos) {
    const auto end = body.find("\n\n", at);
    data.push_back(body.substr(at + 6, end - at - 6));
    at = end;
  }
  return data;
}

}  // namespace weir::test
