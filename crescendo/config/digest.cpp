#include "crescendo/config/digest.h"

#include <fmt/format.h>

#include <cstdint>
#include <string_view>
#include <type_traits>

#include "crescendo/base/file.h"
#include "crescendo/config/describe.h"
#include "crescendo/config/fields.h"

namespace crescendo::config {
namespace {

uint64_t Fnv1a(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  return hash;
}

std::string Hexadecimal(uint64_t hash) { return fmt::format("{:016x}", hash); }

}  // namespace

Options WhatIsLearned(const Options& options) {
  Options learned;
  learned.data = options.data;
  learned.model = options.model;
  learned.optimizer = options.optimizer;
  learned.reference = options.reference;
  learned.schedule = options.schedule;
  learned.run.seed = options.run.seed;
  learned.run.precision = options.run.precision;
  const DataOptions defaults;
  learned.data.folder = defaults.folder;
  learned.data.threads = defaults.threads;
  learned.data.prefetch = defaults.prefetch;
  return learned;
}

std::string Digest(const Options& options) {
  Options learned = WhatIsLearned(options);
  VisitFields(learned, [](const std::string&, auto& value, const Description& description) {
    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>) {
      if (description.is_file && !value.empty()) value = Hexadecimal(Fnv1a(ReadFile(value)));
    }
  });
  return Hexadecimal(Fnv1a(ToToml(learned)));
}

}  // namespace crescendo::config
