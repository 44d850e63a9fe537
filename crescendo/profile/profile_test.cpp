#include "crescendo/profile/profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "crescendo/base/error.h"
#include "crescendo/config/load.h"
#include "crescendo/profile/recorder.h"
#include "tests/support/test_device.h"

namespace crescendo::profile {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// WRN-10-1 on images of 8x8 of four classes; batches 8 and 32, micro-batches of 8.
constexpr const char* kConfig = R"(
[data]
name = "synthetic"
train_examples = 200
test_examples = 20
image_size = 8
classes = 4
pad = 1
[model]
name = "wide_resnet"
depth = 10
width = 1
ghost_batch = 4
[reference]
global_batch = 8
learning_rate = 0.05
boundaries = ["1ep"]
factor = 0.25
[schedule]
length = "2ep"
max_batch = "none"
[run]
threads = 1
micro_batch = 8
)";

report::Profile ProfileOf(Request request, const std::vector<std::string>& overrides = {}) {
  std::vector<std::string> all = {"run.device=" + support::TestDeviceName()};
  all.insert(all.end(), overrides.begin(), overrides.end());
  request.updates = 2;
  const std::atomic<int> stop = 0;
  return ProfileTraining(config::LoadText(kConfig, "small.toml", all), request, stop).profile;
}

const report::ProfiledLayer& Find(const report::Profile& profile, const std::string& name) {
  for (const report::ProfiledLayer& layer : profile.layers) {
    if (layer.name == name) return layer;
  }
  throw std::runtime_error("no layer " + name);
}

TEST(Profile, PartsAddUpToTheUpdateAndLayersToTheirPart) {
  const report::Profile profile = ProfileOf({});
  std::vector<std::string> names;
  double sum = 0;
  for (const report::ProfiledPart& part : profile.parts) {
    names.push_back(part.name);
    sum += part.seconds;
    EXPECT_GT(part.seconds, 0) << part.name;
  }
  EXPECT_THAT(names, ElementsAre("data", "forward", "backward", "reduce", "optimizer", "overhead"));
  EXPECT_NEAR(sum, profile.seconds, 1e-9);
  EXPECT_LE(profile.fastest_seconds, profile.seconds);
  EXPECT_GE(profile.slowest_seconds, profile.seconds);
  EXPECT_EQ(profile.updates, 2);
  EXPECT_GT(profile.forward_between_layers, 0);
  EXPECT_GT(profile.backward_between_layers, 0);
}

TEST(Profile, EveryLayerIsThereInOrderWithItsBackwardPass) {
  const report::Profile profile = ProfileOf({});
  std::vector<std::string> names;
  for (const report::ProfiledLayer& layer : profile.layers) {
    names.push_back(layer.name + ": " + layer.kind);
    EXPECT_GT(layer.forward.seconds, 0) << layer.name;
    EXPECT_GT(layer.backward.seconds, 0) << layer.name;  // batch norm's is an autograd function of ours
    EXPECT_EQ(layer.calls, 1) << layer.name;
  }
  EXPECT_THAT(names,
              ElementsAre("conv: convolution", "blocks.0.bn1: batch norm", "blocks.0.conv1: convolution",
                          "blocks.0.bn2: batch norm", "blocks.0.conv2: convolution", "blocks.1.bn1: batch norm",
                          "blocks.1.short: convolution", "blocks.1.conv1: convolution", "blocks.1.bn2: batch norm",
                          "blocks.1.conv2: convolution", "blocks.2.bn1: batch norm", "blocks.2.short: convolution",
                          "blocks.2.conv1: convolution", "blocks.2.bn2: batch norm", "blocks.2.conv2: convolution",
                          "bn: batch norm", "fc: linear"));
}

TEST(Profile, FlopsAndBytesAreThoseOfTheArithmetic) {
  const report::Profile profile = ProfileOf({});
  // 8 images, 3 to 16 channels, 8x8, 3x3: 8 * 16 * 64 outputs of 27 products each. The images need no gradient.
  const report::ProfiledLayer& first = Find(profile, "conv");
  EXPECT_THAT(first.weight, ElementsAre(16, 3, 3, 3));
  EXPECT_THAT(first.output, ElementsAre(16, 8, 8));
  EXPECT_EQ(first.forward.flops, 2 * 27 * 8 * 16 * 64);
  EXPECT_EQ(first.backward.flops, 2 * 27 * 8 * 16 * 64);
  const int images = 4 * 8 * 3 * 64;
  const int channels = 4 * 8 * 16 * 64;
  const int weights = 4 * 27 * 16;
  EXPECT_EQ(first.forward.bytes, images + weights + channels);
  EXPECT_EQ(first.backward.bytes, channels + images + 2 * weights);

  // 16 to 32 channels with stride 2; backward computes two gradients.
  const report::ProfiledLayer& strided = Find(profile, "blocks.1.conv1");
  EXPECT_THAT(strided.output, ElementsAre(32, 4, 4));
  EXPECT_EQ(strided.forward.flops, 2 * (9 * 16) * 8 * 32 * 16);
  EXPECT_EQ(strided.backward.flops, 2 * strided.forward.flops);

  const report::ProfiledLayer& norm = Find(profile, "blocks.0.bn1");
  EXPECT_EQ(norm.forward.flops, 0);
  EXPECT_EQ(norm.forward.bytes, 2 * channels + 2 * 4 * 16);
  EXPECT_EQ(norm.backward.bytes, 3 * channels + 2 * 2 * 4 * 16);

  const report::ProfiledLayer& linear = Find(profile, "fc");  // [8, 64] -> [8, 4]
  EXPECT_EQ(linear.forward.flops, 2 * 64 * 8 * 4);
  EXPECT_EQ(linear.backward.flops, 2 * linear.forward.flops);
  EXPECT_EQ(linear.forward.bytes, 4 * (8 * 64 + (64 * 4 + 4) + 8 * 4));
}

TEST(Profile, OfALaterPhaseHasItsBatch) {
  for (const Request& request : {Request{.at = config::Position{1.5}}, Request{.phase = 2}}) {
    const report::Profile profile = ProfileOf(request);
    EXPECT_EQ(profile.phase, 2);
    EXPECT_EQ(profile.phases, 2);
    EXPECT_EQ(profile.begin_example, 200);
    EXPECT_EQ(profile.global_batch, 32);
    EXPECT_EQ(profile.micro_batch, 8);
    const report::ProfiledLayer& first = Find(profile, "conv");
    EXPECT_EQ(first.calls, 4);
    EXPECT_EQ(first.forward.flops, 4 * 2 * 27 * 8 * 16 * 64);
  }
}

TEST(Profile, OfReproducibleTrainingCountsGhosts) {
  const report::Profile profile = ProfileOf({}, {"run.reproducible=true"});
  EXPECT_EQ(Find(profile, "conv").calls, 2);  // two ghosts of four, each alone
  EXPECT_EQ(Find(profile, "conv").forward.flops, 2 * 27 * 8 * 16 * 64);
}

TEST(Profile, PhasesThatAreNotThereAreTheUsersMistake) {
  const auto message = [](const Request& request) -> std::string {
    try {
      ProfileOf(request);
    } catch (const UserError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message({.phase = 3}), "--phase 3: the plan has phases 1 to 2");
  EXPECT_EQ(message({.phase = 0}), "--phase 0: the plan has phases 1 to 2");
  EXPECT_EQ(message({.at = config::Position{2}}), "--at 2ep is example 400, and the plan ends at 400");
}

TEST(Profile, EndsWhenItIsAskedTo) {
  const std::atomic<int> stop = 15;
  const Result result =
      ProfileTraining(config::LoadText(kConfig, "small.toml", {"run.device=" + support::TestDeviceName()}), {}, stop);
  EXPECT_EQ(result.stop_signal, 15);
  EXPECT_TRUE(result.profile.layers.empty());
}

// docs: Trace Event Format. Complete events ("X") have a name, a begin, a duration, a process and a thread.
TEST(Profile, TraceIsInChromesFormat) {
  const std::atomic<int> stop = 0;
  const Result result =
      ProfileTraining(config::LoadText(kConfig, "small.toml", {"run.device=" + support::TestDeviceName()}),
                      {.updates = 2, .trace = true}, stop);
  const auto trace = nlohmann::json::parse(result.trace);
  std::multiset<std::string> names;
  for (const auto& event : trace.at("traceEvents")) {
    if (event.at("ph") != "X") continue;
    names.insert(event.at("name"));
    EXPECT_GE(event.at("dur").get<double>(), 0);
    EXPECT_GT(event.at("ts").get<double>(), 0);
    EXPECT_TRUE(event.contains("pid") && event.contains("tid")) << event;
  }
  EXPECT_EQ(names.count("update"), 2);
  for (const char* part : kParts) EXPECT_GE(names.count(part), 2) << part;
  EXPECT_EQ(names.count("blocks.2.conv2"), 2);
  EXPECT_EQ(names.count("ConvolutionBackward0"), 2 * 9);
  EXPECT_THAT(result.trace, HasSubstr("\"Input Dims\""));
}

}  // namespace
}  // namespace crescendo::profile
