#include "crescendo/train/session.h"

#include <c10/util/Exception.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <torch/headeronly/version.h>

#include <ctime>

#include "crescendo/base/version.h"
#include "crescendo/config/describe.h"
#include "crescendo/config/load.h"
#include "crescendo/device/device.h"
#include "crescendo/report/event_log.h"
#include "crescendo/report/run_log.h"
#include "crescendo/train/micro_batch.h"
#include "crescendo/train/trainer.h"
#include "crescendo/train/weights.h"

namespace crescendo::train {
namespace {

// Writes what it sees to run.jsonl and the event files.
class Archive : public Observer {
 public:
  explicit Archive(const RunFolder& folder) : log_(folder.log()), events_(folder.events()) {}
  void OnHeader(const report::RunHeader& header) override { log_.Header(header); }
  void OnUpdate(const report::UpdateRecord& record) override {
    log_.Update(record);
    events_.Update(record);
  }
  void OnEvaluation(const report::EvaluationRecord& record) override {
    log_.Evaluation(record);
    events_.Evaluation(record);
  }
  void OnFooter(const report::RunFooter& footer) override {
    log_.Footer(footer);
    events_.Flush();
  }

 private:
  report::RunLog log_;
  report::EventLog events_;
};

report::RunHeader MakeHeader(const Parts& parts, schedule::Examples micro_batch) {
  report::RunHeader header;
  header.config_toml = config::ToToml(parts.options);
  header.crescendo_version = Version();
  header.commit = Commit();
  header.torch_version = TORCH_VERSION;
  header.compiler = Compiler();
  header.machine = device::DescribeMachine();
  header.device = device::DescribeDevice(parts.device);
  header.threads = device::Threads();
  header.micro_batch = micro_batch.value();
  header.parameters = parts.model->parameter_count();
  header.train_examples = parts.data.train.labels.size(0);
  header.test_examples = parts.data.test.labels.size(0);
  header.total_updates = parts.plan.total_updates().value();
  header.total_examples = parts.plan.total_examples().value();
  header.started = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  return header;
}

}  // namespace

report::RunFooter TrainInto(const RunFolder& folder, const config::Options& options,
                            const std::vector<Observer*>& watchers, const std::atomic<int>& stop) {
  Parts parts = Build(options);
  folder.WriteConfigAndPlan(options, parts.plan);
  const schedule::Examples micro_batch = ChooseMicroBatch(parts);

  Archive archive(folder);
  std::vector<Observer*> observers{&archive};
  observers.insert(observers.end(), watchers.begin(), watchers.end());
  const report::RunHeader header = MakeHeader(parts, micro_batch);
  for (Observer* observer : observers) observer->OnHeader(header);

  Trainer trainer(parts, micro_batch, observers, stop);
  const report::RunEnd end = trainer.Train();
  SaveWeights(folder.weights(), *parts.model, options, end);
  return trainer.Close();
}

Evaluation EvaluateWeights(const std::filesystem::path& path, const std::vector<std::string>& overrides) {
  const std::filesystem::path file = std::filesystem::is_directory(path) ? RunFolder(path).weights() : path;
  const config::Options options = ReadOptions(file, overrides);
  Parts parts = Build(options);
  LoadWeights(file, *parts.model);
  return Evaluate(*parts.model, parts.data.test, parts.device, options.run.precision);
}

}  // namespace crescendo::train
