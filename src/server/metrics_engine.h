// The counters of the engines as metric families, read when the page is asked for.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "engine/registry.h"

namespace weir {

void add_engine_families(ModelRegistry& registry, std::vector<prometheus::MetricFamily>& families);

}  // namespace weir
