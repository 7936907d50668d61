// What HTTP framing attacks get: a 4xx or 5xx and a closed connection, never a second request.
#include "server/framing.h"

#include <gtest/gtest.h>

#include "server/api_error.h"
#include "unit/server/test_server.h"

namespace weir {
namespace {

int status_of(const std::string& head) {
  try {
    const auto size = find_head(head, {});
    if (!size) return 0;
    check_head(std::string_view(head).substr(0, *size));
    return 200;
  } catch (const ApiError& error) {
    return error.status;
  }
}

struct Case {
  const char* what;
  std::string head;
  int status;
};

std::vector<Case> cases() {
  const std::string line = "POST /generate HTTP/1.1\r\n", host = "Host: a\r\n";
  return {
      {"plain", line + host + "\r\n", 200},
      {"length", line + host + "Content-Length: 5\r\n\r\n", 200},
      {"chunked", line + host + "Transfer-Encoding: chunked\r\n\r\n", 200},
      {"CL and TE", line + host + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"TE and CL", line + host + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400},
      {"two CL", line + host + "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400},
      {"CL list", line + host + "Content-Length: 5, 5\r\n\r\n", 400},
      {"CL sign", line + host + "Content-Length: +5\r\n\r\n", 400},
      {"CL minus", line + host + "Content-Length: -1\r\n\r\n", 400},
      {"CL hex", line + host + "Content-Length: 0x5\r\n\r\n", 400},
      {"CL empty", line + host + "Content-Length:\r\n\r\n", 400},
      {"CL huge", line + host + "Content-Length: 99999999999999999999\r\n\r\n", 400},
      {"TE identity", line + host + "Transfer-Encoding: identity\r\n\r\n", 501},
      {"TE list", line + host + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
      {"TE odd", line + host + "Transfer-Encoding: xchunked\r\n\r\n", 501},
      {"two TE", line + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
       400},
      {"TE in 1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"space before colon", line + host + "Content-Length : 5\r\n\r\n", 400},
      {"folded", line + host + "X-A: b\r\n c\r\n\r\n", 400},
      {"folded tab", line + host + "X-A: b\r\n\tc\r\n\r\n", 400},
      {"bare LF", "POST / HTTP/1.1\nHost: a\n\n", 400},
      {"one bare LF", line + "Host: a\n\r\n", 400},
      {"bare CR", line + host + "X-A: b\rc\r\n\r\n", 400},
      {"NUL", line + host + std::string("X-A: b\0c\r\n\r\n", 12), 400},
      {"no colon", line + host + "nonsense\r\n\r\n", 400},
      {"empty name", line + host + ": b\r\n\r\n", 400},
      {"no host", line + "\r\n", 400},
      {"two hosts", line + host + host + "\r\n", 400},
      {"two hosts, other case", line + host + "hOST: b\r\n\r\n", 400},
      {"absolute target", "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"no version", "GET /\r\nHost: a\r\n\r\n", 400},
      {"other version", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
      {"lower version", "GET / http/1.1\r\nHost: a\r\n\r\n", 400},
      {"space in target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"bytes in target", "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"tab as space", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"empty line first", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"long line", line + host + "X: " + std::string(9000, 'a'), 431},
      {"long target", "GET /" + std::string(9000, 'a'), 414},
      {"many lines",
       [&] {
         std::string head = line + host;
         for (int i = 0; i < 200; ++i) head += "X: y\r\n";
         return head;
       }(),
       431},
      {"much in all",
       [&] {
         std::string head = line + host;
         for (int i = 0; i < 60; ++i) head += "X: " + std::string(1000, 'y') + "\r\n";
         return head;
       }(),
       431},
      {"unfinished", line + host, 0},
  };
}

TEST(Framing, EachRuleHasItsStatus) {
  for (const Case& c : cases()) EXPECT_EQ(status_of(c.head), c.status) << c.what;
}

TEST(Framing, RefusedRequestsCloseTheConnectionAndNothingIsSmuggled) {
  test::TestServer server;
  for (const Case& c : cases()) {
    if (c.status < 400) continue;
    SCOPED_TRACE(c.what);
    test::Client client(server.port());
    client.send(c.head + "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    const std::string all = client.read_all();
    EXPECT_EQ(all.substr(0, 12), "HTTP/1.1 " + std::to_string(c.status));
    EXPECT_EQ(all.find("\nHTTP/1.1 "), std::string::npos) << all;
    EXPECT_NE(all.find("{\"error\":{"), std::string::npos);
  }
}

TEST(Framing, BadChunksAreRefused) {
  test::TestServer server;
  const std::string head =
      "POST /tokenize HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const char* chunks :
       {"zz\r\nabc\r\n0\r\n\r\n", "-1\r\nabc\r\n0\r\n\r\n", "3\nabc\r\n0\r\n\r\n",
        "3\r\nabcdef\r\n0\r\n\r\n", "fffffffffffffffff\r\nabc", "0x3\r\nabc\r\n0\r\n\r\n"}) {
    SCOPED_TRACE(chunks);
    test::Client client(server.port());
    client.send(head + chunks + "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    const std::string all = client.read_all();
    EXPECT_TRUE(all.starts_with("HTTP/1.1 4")) << all;
    EXPECT_EQ(all.find("\nHTTP/1.1 "), std::string::npos) << all;
  }
  test::Client good(server.port());
  good.send(head + "9\r\n{\"content\r\n6;ext=1\r\n\":\"a\"}\r\n0\r\nTrailer: x\r\n\r\n");
  const test::Response response = good.read_response();
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(response.body, "{\"tokens\":[97]}");
}

TEST(Framing, EndlessChunksEndWith413) {
  test::TestServerOptions options;
  options.limits.body_bytes = 100'000;
  test::TestServer server(options);
  test::Client client(server.port());
  client.send("POST /tokenize HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "1000\r\n" + std::string(4096, 'a') + "\r\n";
  for (int i = 0; i < 200 && client.send(chunk); ++i) continue;
  EXPECT_EQ(client.read_response().status, 413);
}

}  // namespace
}  // namespace weir
