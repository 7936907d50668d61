// Who may ask: the matrix of Host and Origin, keys by the table of routes, rates.
#include "server/access.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "server/routes.h"
#include "server/serve_options.h"
#include "unit/server/test_server.h"

namespace weir {
namespace {

template <typename F>
int status_of(F&& check) {
  try {
    check();
    return 200;
  } catch (const ApiError& error) {
    return error.status;
  }
}

TEST(Host, OnlyAddressesLocalhostAndListedNamesPass) {
  const HostPolicy policy{{"weir.example"}, {}};
  const std::vector<std::pair<std::string, int>> cases = {{"127.0.0.1", 200},
                                                          {"127.0.0.1:8080", 200},
                                                          {"localhost", 200},
                                                          {"LOCALHOST:1", 200},
                                                          {"[::1]:8080", 200},
                                                          {"[::1]", 200},
                                                          {"192.168.1.7:80", 200},
                                                          {"weir.example", 200},
                                                          {"Weir.Example:443", 200},
                                                          {"", 400},
                                                          {":11434", 400},
                                                          {"127.0.0.1:", 400},
                                                          {"127.0.0.1:0", 400},
                                                          {"127.0.0.1:65536", 400},
                                                          {"127.0.0.1:+80", 400},
                                                          {"127.0.0.1:80:80", 400},
                                                          {"127.0.0.1:80@evil", 400},
                                                          {"127.0.0.1:8a", 400},
                                                          {"[::1", 400},
                                                          {"[::1]x", 400},
                                                          {"[::1%25eth0]", 400},
                                                          {"[fe80::1%eth0]", 400},
                                                          {"[127.0.0.1]", 400},
                                                          {"::1", 400},
                                                          {"user@127.0.0.1", 400},
                                                          {"127.0.0.1/", 400},
                                                          {"local host", 400},
                                                          {"localhost\t", 400},
                                                          {"evil.example", 403},
                                                          {"evil.localhost", 403},
                                                          {"evil.localhost.", 403},
                                                          {"localhost.", 403},
                                                          {"127.0.0.1.evil", 403},
                                                          {"127.0.0.1.", 403},
                                                          {"0x7f.0.0.1", 403},
                                                          {"127.1", 403},
                                                          {"2130706433", 403},
                                                          {"0177.0.0.1", 403},
                                                          {"localhost.evil.example", 403},
                                                          {"weir.example.", 403},
                                                          {"xweir.example", 403},
                                                          {"weir.example.evil", 403},
                                                          {"\xe2\x84\xa6", 400},
                                                          {std::string(300, 'a'), 400}};
  for (const auto& [host, status] : cases)
    EXPECT_EQ(status_of([&] { check_host(policy, host); }), status) << host;
}

TEST(Origin, OwnAndListedOnly) {
  const HostPolicy policy{{}, {"https://app.example"}};
  const std::string host = "127.0.0.1:8080";
  EXPECT_TRUE(check_origin(policy, "https://app.example", host));
  EXPECT_FALSE(check_origin(policy, "http://127.0.0.1:8080", host));
  for (const char* origin :
       {"null", "", "http://evil.example", "http://127.0.0.1", "http://127.0.0.1:8081",
        "https://app.example.evil", "http://app.example", "https://app.example:443", "file://",
        "http://127.0.0.1:8080.evil", "HTTPS://APP.EXAMPLE"})
    EXPECT_EQ(status_of([&] { check_origin(policy, origin, host); }), 403) << origin;
}

/// Every route x Host x Origin: a foreign one is refused before the handler, with JSON.
TEST(Browser, NoRouteAnswersForeignPages) {
  test::TestServerOptions options;
  options.hosts.origins = {"https://app.example"};
  test::TestServer server(options);
  for (const Route& route : routes()) {
    for (const char* host : {"evil.example", "evil.localhost.", "127.0.0.1.evil", ":11434", ""}) {
      test::Client client(server.port());
      client.send(std::string(route.method) + " " + std::string(route.path) +
                  " HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 0\r\n\r\n");
      const test::Response r = client.read_response();
      EXPECT_TRUE(r.status == 403 || r.status == 400) << route.path << " " << host;
      EXPECT_EQ(r.header("Access-Control-Allow-Origin"), "");
      EXPECT_TRUE(r.json().contains("error"));
    }
    for (const char* header : {"Origin: http://evil.example\r\n", "Origin: null\r\n",
                               "Origin: https://app.example\r\nOrigin: http://evil\r\n",
                               "Sec-Fetch-Site: cross-site\r\n"}) {
      const auto r = test::request(server.port(), std::string(route.method),
                                   std::string(route.path), "{}", header);
      EXPECT_EQ(r.status, 403) << route.path << " " << header;
      EXPECT_EQ(r.header("Access-Control-Allow-Origin"), "");
    }
  }
}

TEST(Browser, ListedOriginsGetCorsAndMustSendJson) {
  test::TestServerOptions options;
  options.hosts.origins = {"https://app.example"};
  test::TestServer server(options);
  const std::string origin = "Origin: https://app.example\r\n";
  const auto ok = test::request(server.port(), "POST", "/tokenize", R"({"content":"a"})", origin);
  EXPECT_EQ(ok.status, 200);
  EXPECT_EQ(ok.header("Access-Control-Allow-Origin"), "https://app.example");
  EXPECT_EQ(ok.header("Access-Control-Allow-Credentials"), "");
  test::Client form(server.port());
  form.send("POST /tokenize HTTP/1.1\r\nHost: 127.0.0.1\r\n" + origin +
            "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}");
  EXPECT_EQ(form.read_response().status, 415);
  EXPECT_EQ(test::request(server.port(), "OPTIONS", "/tokenize", "", origin).status, 204);
  EXPECT_EQ(test::request(server.port(), "OPTIONS", "/tokenize", "", "Origin: http://e\r\n").status,
            403);
  EXPECT_EQ(test::request(server.port(), "OPTIONS", "/tokenize").status, 405);
}

TEST(Keys, EveryRouteButHealthNeedsOne) {
  test::TestServerOptions options;
  options.keys = {"first-secret-key", "other-secret-key"};
  test::TestServer server(options);
  int requests = 1;
  for (const Route& route : routes()) {
    SCOPED_TRACE(route.path);
    requests += 10;
    const std::string method(route.method), path(route.path);
    const bool open = path == "/health";
    EXPECT_EQ(route.access == Access::open, open);
    for (const char* header :
         {"", "Authorization: Bearer wrong-secret-key\r\n", "Authorization: Bearer \r\n",
          "Authorization: Basic first-secret-key\r\n", "X-Api-Key: first-secret-ke\r\n",
          "Authorization: Bearer first-secret-key1\r\n", "Cookie: first-secret-key\r\n"}) {
      const auto r = test::request(server.port(), method, path, "{}", header);
      EXPECT_EQ(r.status, open ? 200 : 401) << header;
      EXPECT_TRUE(open || r.json().contains("error"));
    }
    for (const char* header :
         {"Authorization: Bearer first-secret-key\r\n",
          "authorization: bearer other-secret-key\r\n", "X-Api-Key: other-secret-key\r\n"})
      EXPECT_NE(test::request(server.port(), method, path, "{}", header).status, 401) << header;
  }
  EXPECT_EQ(test::request(server.port(), "GET", "/no/such/route").status, 401);
  EXPECT_EQ(server.log(requests).find("secret-key"), std::string::npos);
}

TEST(Keys, StandForTenants) {
  test::TestServerOptions options;
  options.keys = {"first-secret-key", "other-secret-key"};
  test::TestServer server(options);
  const std::string body = R"({"prompt":"a","max_tokens":1})";
  const auto tenant = [&](const std::string& key) {
    test::request(server.port(), "POST", "/generate", body, "X-Api-Key: " + key + "\r\n");
    return server.engine().last_request.tenant;
  };
  const std::string first = tenant("first-secret-key");
  EXPECT_NE(first, "");
  EXPECT_NE(first, tenant("other-secret-key"));
  EXPECT_EQ(first.find("secret"), std::string::npos);
}

TEST(Keys, BadOnesAreRefusedAtTheStart) {
  for (const char* key : {"short", "has a space in it", "tab\tin the key"})
    EXPECT_THROW(KeyRing({key}), Error) << key;
  EXPECT_EQ(keys_in_file("# comment\n\n  key-number-1 \nkey-number-2"),
            (std::vector<std::string>{"key-number-1", "key-number-2"}));
  EXPECT_EQ(keys_in_list(" a1,,b2 ,"), (std::vector<std::string>{"a1", "b2"}));
}

TEST(Exposure, PublicAddressesNeedAKeyOrTheFlag) {
  ServeOptions options;
  for (const char* host : {"127.0.0.1", "localhost", "::1", "127.8.8.8"}) {
    options.host = host;
    EXPECT_NO_THROW(check_exposure(options, false)) << host;
  }
  for (const char* host : {"0.0.0.0", "::", "192.168.0.2", "10.0.0.1"}) {
    options.host = host;
    options.allow_public_without_key = false;
    EXPECT_THROW(check_exposure(options, false), Error) << host;
    EXPECT_NO_THROW(check_exposure(options, true)) << host;
    options.allow_public_without_key = true;
    EXPECT_NO_THROW(check_exposure(options, false)) << host;
  }
}

TEST(Rate, IsForEachKeyAndRefills) {
  auto now = RateLimiter::Clock::time_point();
  RateLimiter rate(60, [&now] { return now; });
  for (int i = 0; i < 60; ++i) EXPECT_NO_THROW(rate.take("a")) << i;
  try {
    rate.take("a");
    FAIL();
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status, 429);
    EXPECT_EQ(error.retry_after, 1);
  }
  EXPECT_NO_THROW(rate.take("b"));
  now += std::chrono::milliseconds(1100);
  EXPECT_NO_THROW(rate.take("a"));
  EXPECT_THROW(rate.take("a"), ApiError);
}

TEST(Rate, Is429OverHttp) {
  test::TestServerOptions options;
  options.keys = {"first-secret-key"};
  options.limits.requests_per_minute = 2;
  test::TestServer server(options);
  const std::string key = "X-Api-Key: first-secret-key\r\n";
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(test::request(server.port(), "GET", "/api/version", "", key).status, 200);
  const auto r = test::request(server.port(), "GET", "/api/version", "", key);
  EXPECT_EQ(r.status, 429);
  EXPECT_NE(r.header("Retry-After"), "");
}

}  // namespace
}  // namespace weir
