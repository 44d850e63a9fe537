#include "crescendo/nn/registry.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "crescendo/base/error.h"

namespace crescendo::nn {

std::unique_ptr<Model> MakeMlp(const ModelRequest& request);
std::unique_ptr<Model> MakeWideResNet(const ModelRequest& request);

std::unique_ptr<Model> BuildModel(const config::ModelOptions& options, const std::vector<int64_t>& example_shape,
                                  int64_t classes, uint64_t seed) {
  const ModelRequest request = {options, example_shape, classes, seed};
  switch (options.name) {
    case config::ModelName::kMlp:
      return MakeMlp(request);
    case config::ModelName::kWideResNet:
      if (example_shape.size() != 3) {
        throw UserError(
            fmt::format("model.name = {} takes images, but an example of this data set is a row of {} numbers; mlp "
                        "takes those",
                        NameOf(options.name), fmt::join(example_shape, " x ")));
      }
      return MakeWideResNet(request);
  }
  return nullptr;  // every name has returned
}

}  // namespace crescendo::nn
