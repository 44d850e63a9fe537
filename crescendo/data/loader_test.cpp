#include "crescendo/data/loader.h"

#include <ATen/Parallel.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>

#include "crescendo/data/test_support.h"

namespace crescendo::data {
namespace {

using schedule::Examples;

config::DataOptions Options(int64_t threads = 1, int64_t prefetch = 4) {
  config::DataOptions options;
  options.name = config::DatasetName::kSynthetic;
  options.train_examples = 100;
  options.test_examples = 30;
  options.image_size = 8;
  options.pad = 2;
  options.threads = threads;
  options.prefetch = prefetch;
  return options;
}

// A table whose example i has the input i and the label i.
Dataset Numbered(int64_t examples) {
  Dataset data;
  data.name = "numbered";
  data.inputs = at::arange(examples, at::kFloat).unsqueeze(1);
  data.labels = at::arange(examples, at::kLong);
  data.classes = examples;
  return data;
}

// Images whose example i shows i mod 256 in each pixel, and has the label i. Other than tables, threads make them.
Dataset NumberedImages(int64_t examples) {
  Dataset data = Numbered(examples);
  data.inputs =
      at::arange(examples, at::kLong).to(at::kByte).view({examples, 1, 1, 1}).expand({-1, 1, 3, 3}).contiguous();
  data.mean = {0};
  data.deviation = {1.0F / 255};
  return data;
}

// Positions [0, total) in requests of the sizes given, in turn.
std::vector<Batch> TakeAll(Loader& loader, int64_t total, std::vector<int64_t> sizes) {
  std::vector<Batch> batches;
  size_t requests = 0;
  for (int64_t begin = 0; begin < total;) {
    const int64_t size = std::min(sizes[requests++ % sizes.size()], total - begin);
    loader.Request({Examples{begin}, size});
    begin += size;
  }
  for (size_t i = 0; i < requests; ++i) batches.push_back(loader.Take());
  return batches;
}

Batch Joined(const std::vector<Batch>& batches) {
  std::vector<at::Tensor> inputs;
  std::vector<at::Tensor> labels;
  for (const Batch& batch : batches) {
    inputs.push_back(batch.inputs);
    labels.push_back(batch.labels);
  }
  return {at::cat(inputs), at::cat(labels)};
}

TEST(Loader, GivesEveryExampleExactlyOncePerEpoch) {
  at::set_num_threads(1);
  for (const Dataset& data : {Numbered(100), NumberedImages(100)}) {
    Loader loader(data, Options(2), 1);
    const std::vector<int64_t> labels = Values<int64_t>(Joined(TakeAll(loader, 300, {7, 64, 1})).labels);
    for (int epoch = 0; epoch < 3; ++epoch) {
      std::vector<int64_t> seen(labels.begin() + epoch * 100, labels.begin() + (epoch + 1) * 100);
      std::sort(seen.begin(), seen.end());
      EXPECT_EQ(seen, Values<int64_t>(data.labels));
    }
  }
}

TEST(Loader, GivesTheSameExamplesHoweverTheyAreCutAndWhoeverMakesThem) {
  at::set_num_threads(1);
  const DatasetPair data = LoadDatasets(Options(), 1);
  Loader one(data.train, Options(1, 1), 1);
  Loader many(data.train, Options(5, 3), 1);
  Loader other_seed(data.train, Options(), 2);
  const Batch a = Joined(TakeAll(one, 250, {250}));
  const Batch b = Joined(TakeAll(many, 250, {1, 32, 3, 90}));
  EXPECT_TRUE(at::equal(a.inputs, b.inputs));
  EXPECT_TRUE(at::equal(a.labels, b.labels));
  EXPECT_FALSE(at::equal(a.labels, Joined(TakeAll(other_seed, 250, {250})).labels));
}

TEST(Loader, InputsAndLabelsStayTogether) {
  config::DataOptions options = Options(3);
  options.pad = 0;
  for (const Dataset& data : {Numbered(50), NumberedImages(50)}) {
    Loader loader(data, options, 1);
    const Batch all = Joined(TakeAll(loader, 50, {8}));
    EXPECT_TRUE(at::allclose(all.inputs.flatten(1).select(1, 0), all.labels.to(at::kFloat)));
  }
}

TEST(Loader, AnExampleLooksDifferentInEachEpochAndTheDefinitionSaysHow) {
  at::set_num_threads(1);
  const config::DataOptions options = Options();
  const DatasetPair data = LoadDatasets(options, 1);
  Loader loader(data.train, options, 9);
  const Batch all = Joined(TakeAll(loader, 200, {40}));
  const ExampleOrder order(9, 100);
  const Normalisation normalisation(data.train.mean, data.train.deviation);
  std::map<int64_t, at::Tensor> first_look;
  int64_t unchanged = 0;
  for (int64_t position = 0; position < 200; ++position) {
    const int64_t example = order.ExampleAt(Examples{position});
    const at::Tensor shown = all.inputs[position];  // [3, 8, 8]
    EXPECT_EQ(all.labels[position].item<int64_t>(), example % 10);
    const uint64_t key = RandomKey(9, Stream::kAugmentation, static_cast<uint64_t>(position / 100));
    const Placement placement = DrawPlacement({.pad = 2, .flip = true}, key, example);
    const at::Tensor stored = data.train.inputs[example];
    for (int64_t channel = 0; channel < 3; ++channel) {
      EXPECT_EQ(
          shown[channel][1][6].item<float>(),
          AugmentedPixel(stored[channel].const_data_ptr<uint8_t>(), {3, 8, 8}, placement, config::Padding::kReflect,
                         normalisation.scale[channel], normalisation.shift[channel], 1, 6));
    }
    if (position < 100)
      first_look[example] = shown;
    else
      unchanged += at::equal(first_look[example], shown);
  }
  EXPECT_LT(unchanged, 12);  // 2 expected: there are 50 looks
}

TEST(Loader, ImagesComeInChannelsLastOrder) {
  const DatasetPair data = LoadDatasets(Options(), 1);
  Loader loader(data.train, Options(), 1);
  loader.Request({Examples{0}, 5});
  const Batch batch = loader.Take();
  EXPECT_EQ(batch.inputs.sizes().vec(), (std::vector<int64_t>{5, 3, 8, 8}));
  EXPECT_TRUE(batch.inputs.is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_EQ(batch.inputs.scalar_type(), at::kFloat);
}

TEST(Loader, WhatFailsIsThrownByItsTakeAndByNoOther) {
  for (const Dataset& data : {Numbered(10), NumberedImages(10)}) {
    Loader loader(data, Options(2), 1);
    loader.Request({Examples{0}, 10});
    loader.Request({Examples{10}, int64_t{1} << 62});  // more than can be addressed
    loader.Request({Examples{10}, 10});
    EXPECT_EQ(loader.Take().labels.size(0), 10);
    EXPECT_THROW(loader.Take(), std::exception);
    EXPECT_EQ(loader.Take().labels.size(0), 10);
  }
}

TEST(Loader, CanBeDroppedWithRequestsOutstanding) {
  const Dataset data = NumberedImages(1'000);
  for (int64_t taken = 0; taken < 4; ++taken) {
    Loader loader(data, Options(3, 2), 1);
    for (int64_t i = 0; i < 20; ++i) loader.Request({Examples{i * 100}, 100});
    for (int64_t i = 0; i < taken; ++i) loader.Take();
  }
  Loader unused(data, Options(3), 1);
}

TEST(Loader, CountsTheTimeThatTakeWaits) {
  for (const Dataset& data : {Numbered(10), NumberedImages(10)}) {
    Loader loader(data, Options(1), 1);
    EXPECT_EQ(loader.waited_seconds(), 0);
    loader.Request({Examples{0}, 1'000'000});
    const auto begin = std::chrono::steady_clock::now();
    loader.Take();
    const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    EXPECT_GT(loader.waited_seconds(), 0);
    EXPECT_LE(loader.waited_seconds(), elapsed);
  }
}

TEST(TestBatch, IsNormalisedAndNothingElse) {
  at::set_num_threads(1);
  const DatasetPair data = LoadDatasets(Options(), 1);
  const Batch batch = TestBatch(data.test, 20, 500);
  EXPECT_EQ(batch.labels.size(0), 10) << "what there is from 20 on";
  EXPECT_TRUE(at::equal(batch.labels, data.test.labels.narrow(0, 20, 10)));
  for (int64_t channel = 0; channel < 3; ++channel) {
    const at::Tensor bytes = data.test.inputs.narrow(0, 20, 10).select(1, channel).to(at::kDouble);
    const at::Tensor expected = bytes.div(255).sub(data.test.mean[channel]).div(data.test.deviation[channel]);
    EXPECT_LT(batch.inputs.select(1, channel).sub(expected).abs().max().item<double>(), 1e-5);
  }
  const Dataset table = Numbered(6);
  EXPECT_TRUE(at::equal(TestBatch(table, 2, 3).inputs, table.inputs.narrow(0, 2, 3)));
}

}  // namespace
}  // namespace crescendo::data
