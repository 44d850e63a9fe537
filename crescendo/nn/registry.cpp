#include "crescendo/nn/registry.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "crescendo/base/error.h"
#include "crescendo/base/nearest_name.h"

namespace crescendo::nn {

std::unique_ptr<Model> MakeMlp(const ModelRequest& request);
std::unique_ptr<Model> MakeWideResNet(const ModelRequest& request);

namespace {

struct Entry {
  const char* name;
  std::unique_ptr<Model> (*make)(const ModelRequest& request);
  bool needs_images;
};

constexpr Entry kModels[] = {
    {"mlp", MakeMlp, false},
    {"wide_resnet", MakeWideResNet, true},
};

}  // namespace

std::unique_ptr<Model> BuildModel(const config::ModelOptions& options, const std::vector<int64_t>& example_shape,
                                  int64_t classes, uint64_t seed) {
  for (const Entry& entry : kModels) {
    if (options.name != entry.name) continue;
    if (entry.needs_images && example_shape.size() != 3) {
      throw UserError(
          fmt::format("model.name = {} takes images, but an example of this data set is a row of {} numbers; mlp "
                      "takes those",
                      options.name, fmt::join(example_shape, " x ")));
    }
    return entry.make({options, example_shape, classes, seed});
  }
  const std::vector<std::string> names = ModelNames();
  const std::string nearest = NearestName(options.name, names);
  throw UserError(fmt::format("model.name = {} is not a network; there are {}{}", options.name, fmt::join(names, ", "),
                              nearest.empty() ? "" : fmt::format(" (did you mean {}?)", nearest)));
}

std::vector<std::string> ModelNames() {
  std::vector<std::string> names;
  for (const Entry& entry : kModels) names.emplace_back(entry.name);
  return names;
}

}  // namespace crescendo::nn
