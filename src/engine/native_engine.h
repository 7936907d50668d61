// The engine over our own decoder, for one request at a time: prefill in chunks, then token by
// token. Owns device, decoder and page pool; refuses to choose among requests (a scheduler's work).
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "cache/page_pool.h"
#include "cache/sequence.h"
#include "engine/engine.h"
#include "model/decoder.h"
#include "model/model.h"

namespace weir {

class NativeEngine : public Engine {
 public:
  NativeEngine(std::shared_ptr<const Model> model, const NativeOptions& options);

  const Capabilities& capabilities() const override { return capabilities_; }
  Statistics run(const Request& request,
                 const std::function<void(const Event&)>& on_event) override;

 private:
  std::vector<int32_t> prompt_ids(const Request& request) const;
  /// Feeds `ids` to the sequence and returns the logits of the last one. False if the request was
  /// cancelled in between.
  bool feed(const Request& request, Sequence& sequence, std::span<const int32_t> ids,
            std::span<const float>& logits);

  std::shared_ptr<const Model> model_;
  CpuDevice device_;
  Decoder decoder_;
  PagePool pool_;
  int64_t chunk_;                   // tokens of a forward pass at most
  std::vector<uint8_t> no_logits_;  // chunk_ zeros: a chunk that is not the prompt's last
  Capabilities capabilities_;
  std::mutex one_request_;
};

}  // namespace weir
