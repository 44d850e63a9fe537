#include "crescendo/optim/optimizer.h"

#include "crescendo/base/error.h"
#include "crescendo/optim/adam.h"
#include "crescendo/optim/lamb.h"
#include "crescendo/optim/lars.h"
#include "crescendo/optim/rmsprop.h"
#include "crescendo/optim/sgd.h"

namespace crescendo::optim {

std::unique_ptr<Optimizer> BuildOptimizer(const config::OptimizerOptions& options, std::vector<Parameter> parameters) {
  switch (options.name) {
    case config::OptimizerName::kSgd:
      return std::make_unique<Sgd>(options, std::move(parameters));
    case config::OptimizerName::kMomentum:
    case config::OptimizerName::kNesterov:
      return std::make_unique<Momentum>(options, std::move(parameters));
    case config::OptimizerName::kAdam:
    case config::OptimizerName::kAdamW:
      return std::make_unique<Adam>(options, std::move(parameters));
    case config::OptimizerName::kRmsprop:
      return std::make_unique<Rmsprop>(options, std::move(parameters));
    case config::OptimizerName::kLars:
      return std::make_unique<Lars>(options, std::move(parameters));
    case config::OptimizerName::kLamb:
      return std::make_unique<Lamb>(options, std::move(parameters));
  }
  CRESCENDO_ASSERT(false, "no such optimizer");
}

}  // namespace crescendo::optim
