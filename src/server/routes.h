// The table of routes: method, path, whose error shape, who may, where it runs, what answers. What
// is not in it does not exist; a row without an access rule does not compile.
#pragma once

#include <span>
#include <string_view>

#include "server/api_error.h"
#include "server/http.h"
#include "server/service.h"

namespace weir {

enum class Access {
  open,  // no key; may tell nothing that needs one
  key,   // a key, when keys are set
};
enum class Place {
  connection,  // at once, on the connection's thread: never blocks
  worker,      // may load models, tokenize, wait
  queue,  // on a worker, into an engine's queue: refused at once where that is known to be full
};
using Handler = Reply (*)(HttpRequest&, Service&);

struct Route {
  constexpr Route(std::string_view verb, std::string_view where, ErrorShape errors, Access who,
                  Place runs, Handler answers, std::string_view about)
      : method(verb),
        path(where),
        shape(errors),
        access(who),
        place(runs),
        handle(answers),
        help(about) {}
  std::string_view method, path;
  ErrorShape shape;
  Access access;
  Place place;
  Handler handle;
  std::string_view help;
};

std::span<const Route> routes();

/// Null if there is none. `path_known` says whether another method would find one.
const Route* find_route(std::string_view method, std::string_view path, bool& path_known);

/// The shape of errors below this path, also where no route is.
ErrorShape error_shape(std::string_view path);

/// What an error looks like as a reply.
Reply error_reply(const ApiError& error, ErrorShape shape);

}  // namespace weir
