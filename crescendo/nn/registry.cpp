#include "crescendo/nn/registry.h"

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
      CRESCENDO_ASSERT(example_shape.size() == 3, "config/validate.h refuses a wide_resnet of a table");
      return MakeWideResNet(request);
  }
  return nullptr;  // every name has returned
}

}  // namespace crescendo::nn
