// PyTorch's numbers: testdata/torch_tables.json, made by testdata/make_tables.py, which says what they are.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "crescendo/base/file.h"
#include "crescendo/optim/test_support.h"

namespace crescendo::optim {
namespace {

using nlohmann::json;

OptimizerOptions OptionsOf(const json& test_case) {
  std::string name = test_case["optimizer"];
  OptimizerOptions options;
  if (name == "adam_decoupled") {
    name = "adam";
    options.decay = config::WeightDecay::kDecoupled;
  }
  options.name = *ParseEnum<OptimizerName>(name);
  options.weight_decay = test_case["weight_decay"];
  options.decay_norm_and_bias = test_case["bias_decays"];
  options.beta2 = 0.99;
  options.epsilon = 1e-6;
  options.smoothing = 0.9;
  return options;
}

std::vector<double> WeightsAfterTheSteps(const json& tables, const json& test_case, at::ScalarType type) {
  std::vector<at::Tensor> weights;
  for (const json& shape : tables["shapes"]) {
    const std::vector<int64_t> sizes = shape;
    int64_t count = 1;
    for (const int64_t size : sizes) count *= size;
    std::vector<double> values;
    for (int64_t i = 0; i < count; ++i) {
      values.push_back(std::sin(1.0 + static_cast<double>(i) + 10.0 * static_cast<double>(weights.size())));
    }
    weights.push_back(Doubles(values).view(sizes).to(type));
  }
  Subject subject(OptionsOf(test_case), weights);
  for (size_t k = 0; k < tables["rates"].size(); ++k) {
    std::vector<at::Tensor> gradients;
    for (size_t p = 0; p < weights.size(); ++p) {
      std::vector<double> values = Values(weights[p]);
      for (size_t i = 0; i < values.size(); ++i) {
        values[i] = std::cos(0.7 * static_cast<double>(i) + static_cast<double>(p + k)) + values[i] / 10;
      }
      gradients.push_back(Doubles(values).view(weights[p].sizes()).to(type));
    }
    subject.Step({tables["rates"][k], test_case["momentum"]}, gradients);
  }
  std::vector<double> all;
  for (const at::Tensor& weight : weights) {
    for (const double value : Values(weight)) all.push_back(value);
  }
  return all;
}

void ExpectTorchsNumbers(at::ScalarType type, double tolerance) {
  const json tables = json::parse(ReadFile("crescendo/optim/testdata/torch_tables.json"));
  ASSERT_EQ(tables["cases"].size(), 27);
  for (const json& test_case : tables["cases"]) {
    SCOPED_TRACE(test_case["optimizer"].dump() + ", momentum " + test_case["momentum"].dump() + ", weight decay " +
                 test_case["weight_decay"].dump() + ", bias decays " + test_case["bias_decays"].dump());
    const std::vector<double> expected = test_case["weights"];
    const std::vector<double> got = WeightsAfterTheSteps(tables, test_case, type);
    ASSERT_EQ(got.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(got[i], expected[i], tolerance) << "element " << i;
  }
}

TEST(Torch, TenStepsEndWhereTorchsDoInDoublePrecision) { ExpectTorchsNumbers(at::kDouble, 1e-12); }
TEST(Torch, TenStepsEndWhereTorchsDoInSinglePrecision) { ExpectTorchsNumbers(at::kFloat, 1e-6); }

}  // namespace
}  // namespace crescendo::optim
