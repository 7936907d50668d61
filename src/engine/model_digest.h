// What stands for a model in the keys of stored pages.
#pragma once

#include "base/hash.h"
#include "device/cpu/cpu_device.h"
#include "model/model.h"

namespace weir {

/// SHA-256 over names, types, shapes and XXH3 checksums of all tensors and over the metadata that
/// shapes the arithmetic. Reads the whole model, on all threads, at memory speed. Two models that
/// someone made to collide in XXH3 would share pages; whoever runs both has chosen both.
Digest model_digest(const Model& model, CpuDevice& device);

}  // namespace weir
