#include "crescendo/report/profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace crescendo::report {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// 100 GFLOP/s and 10 GB/s.
constexpr Roofline kMachine{100e9, 10e9};

Profile TwoLayers() {
  Profile profile;
  profile.config = "net.toml";
  profile.device = "cpu (EPYC, 2 threads)";
  profile.precision = "fp32";
  profile.phase = 2;
  profile.phases = 3;
  profile.global_batch = 4000;
  profile.micro_batch = 800;
  profile.updates = 5;
  profile.seconds = 0.2;
  profile.fastest_seconds = 0.18;
  profile.slowest_seconds = 0.25;
  profile.parts = {{"data", 0.01}, {"forward", 0.06}, {"backward", 0.12}, {"overhead", 0.01}};
  profile.seconds_with_layers = 0.21;
  profile.layers = {{"conv", "convolution", {64, 16, 3, 3}, {64, 32, 32}, 5, {0.02, 1e9, 1e7}, {0.06, 2e9, 2e7}},
                    {"bn", "batch norm", {64}, {64, 32, 32}, 5, {0.01, 0, 5e7}, {0.03, 0, 5e7}}};
  profile.forward_between_layers = 0.03;
  profile.backward_between_layers = 0.04;
  profile.roofline = kMachine;
  return profile;
}

TEST(ProfileReport, WhatTakesLongerOfArithmeticAndMemoryBoundsALayer) {
  EXPECT_DOUBLE_EQ(SecondsAt(kMachine, {.flops = 1e9, .bytes = 1e7}), 0.01);  // 10 ms against 1 ms
  EXPECT_DOUBLE_EQ(SecondsAt(kMachine, {.flops = 1e9, .bytes = 1e9}), 0.1);   // 10 ms against 100 ms
  EXPECT_DOUBLE_EQ(SecondsAt(kMachine, {.flops = 0, .bytes = 5e7}), 0.005);   // a batch norm
  EXPECT_DOUBLE_EQ(SecondsAt(kMachine, {.seconds = 1, .flops = 0, .bytes = 0}), 0);
}

// By hand: conv 1 + 2 GFLOP in 20 + 60 ms: 37.5 GFLOP/s; (0.01 + 0.02) GB: 0.375 GB/s, 0.38 in print; 30 ms at the
// roofline of 80. bn 0.1 GB in 40 ms: 2.5 GB/s; 10 ms of 40. All: 3 GFLOP in 60 + 130 ms.
TEST(ProfileReport, TableCanBeWorkedOutByHand) {
  const std::string table = ProfileTable(TwoLayers());
  EXPECT_THAT(table,
              AllOf(HasSubstr("profile of net.toml, phase 2 of 3: batch 4,000, micro-batch 800, fp32, on cpu"),
                    HasSubstr("roofline, measured before and after: 100.0 GFLOP/s in a matrix product, 10.0 GB/s in"),
                    HasSubstr("forward    60.000   30.0%\n"), HasSubstr("update    200.000  100.0%\n"),
                    HasSubstr("5 updates of 180.000 to 250.000 ms; 20,000 examples/s"), Not(HasSubstr("workers"))));
  const std::string layers = R"(
layer               kind         weights    output    forward ms  backward ms  GFLOP  GFLOP/s  GB/s  roofline
conv                convolution  64x16x3x3  64x32x32      20.000       60.000    3.0     37.5  0.38     37.5%
bn                  batch norm   64         64x32x32      10.000       30.000                   2.5     25.0%
between the layers                                        30.000       40.000
all                                                       60.000      130.000    3.0     15.8  0.68
layers were measured in other updates, of 210.000 ms;)";
  EXPECT_THAT(table, HasSubstr(layers));
}

TEST(ProfileReport, SeveralWorkersAreNamed) {
  Profile profile = TwoLayers();
  profile.workers = 4;
  EXPECT_THAT(ProfileTable(profile), HasSubstr("; 4 workers, of which this is the first\n"));
}

TEST(ProfileReport, JsonHasTheNumbersUnrounded) {
  const auto json = nlohmann::json::parse(ProfileJson(TwoLayers()));
  EXPECT_EQ(json["seconds"], 0.2);
  EXPECT_EQ(json["parts"][2]["name"], "backward");
  EXPECT_EQ(json["parts"][2]["seconds"], 0.12);
  EXPECT_EQ(json["layers"][0]["weight"], (std::vector<int64_t>{64, 16, 3, 3}));
  EXPECT_EQ(json["layers"][0]["backward"]["flops"], 2e9);
  EXPECT_EQ(json["layers"][0]["backward"]["seconds_at_roofline"], 0.02);
  EXPECT_EQ(json["layers"][1]["forward"]["seconds_at_roofline"], 0.005);
  EXPECT_EQ(json["roofline"]["bytes_per_second"], 10e9);
}

}  // namespace
}  // namespace crescendo::report
