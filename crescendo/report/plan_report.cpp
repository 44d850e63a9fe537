#include "crescendo/report/plan_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "crescendo/report/text_table.h"

namespace crescendo::report {
namespace {

using Json = nlohmann::ordered_json;
using schedule::Examples;
using schedule::Phase;
using schedule::Plan;
using schedule::PlanRequest;
using schedule::Updates;

constexpr int64_t kWidth = 120;
constexpr size_t kMostRows = 40;
constexpr size_t kFirstRows = 24;  // of a plan with more phases; the last ones fill up to kMostRows

double Epochs(const Plan& plan, Examples position) {
  return static_cast<double>(position.value()) / static_cast<double>(plan.train_examples().value());
}

// "1 phase", "2 phases".
std::string Counted(int64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", WithThousands(count), noun, count == 1 ? "" : "s");
}

// "0.1", or "0.1 to 0.02" where the rate moves inside the phase.
std::string Range(double begin, double end) {
  const std::string first = fmt::format("{:.4g}", begin);
  const std::string last = fmt::format("{:.4g}", end);
  return first == last ? first : fmt::format("{:.3g} to {:.3g}", begin, end);
}

// The phases, beside the reference's learning rate and batch.
std::string PhaseTable(const Plan& plan, const PlanWorkers& workers) {
  constexpr int kWorkersColumn = 4;  // behind the batch
  const bool exact_held = plan.request().law.form == schedule::NoiseForm::kExact;
  std::vector<TextTable::Column> columns = {{"phase"},
                                            {"epochs"},
                                            {"updates"},
                                            {"batch"},
                                            {"lr", Align::kLeft},
                                            {"momentum"},
                                            {exact_held ? "noise" : "noise*"},
                                            {exact_held ? "exact*" : "exact"},
                                            {"| reference lr", Align::kLeft},
                                            {"batch"},
                                            {"lost"},
                                            {"", Align::kLeft}};
  if (!workers.of_phases.empty()) columns.insert(columns.begin() + kWorkersColumn, {"workers"});
  TextTable table(columns);
  const std::vector<Phase>& phases = plan.phases();
  const int decimals = Epochs(plan, plan.total_examples()) < 10 ? 3 : 2;
  for (size_t i = 0; i < phases.size(); ++i) {
    if (phases.size() > kMostRows && i == kFirstRows) {
      const size_t left_out = phases.size() - kMostRows;
      table.AddLine(fmt::format("  ... {} more phases ...", WithThousands(static_cast<int64_t>(left_out))));
      i += left_out;
    }
    const Phase& phase = phases[i];
    std::string marks = plan.LosesTooMuch(phase) ? "!" : "";
    if (phase.at_cap) marks += marks.empty() ? "cap" : " cap";
    std::vector<std::string> row = {std::to_string(i + 1),
                                    fmt::format("{:.{}f} - {:.{}f}", Epochs(plan, phase.begin_example), decimals,
                                                Epochs(plan, phase.end_example), decimals),
                                    WithThousands(phase.updates.value()),
                                    WithThousands(phase.global_batch.value()),
                                    Range(phase.learning_rate, phase.learning_rate_end),
                                    fmt::format("{:.4g}", phase.momentum),
                                    fmt::format("{:.4g}", phase.noise_scale_small_batch),
                                    fmt::format("{:.4g}", phase.noise_scale_exact),
                                    "| " + Range(phase.reference_learning_rate, phase.reference_learning_rate_end),
                                    WithThousands(plan.request().reference.global_batch.value()),
                                    fmt::format("{:.2f}", phase.lost_epochs),
                                    marks};
    if (!workers.of_phases.empty()) row.insert(row.begin() + kWorkersColumn, WithThousands(workers.of_phases[i]));
    table.AddRow(std::move(row));
  }
  const std::string text = table.Render();
  const size_t width = text.find('\n') + 7;  // the line of names, and "  ! cap", which has none
  return width <= kWidth ? text : table.Render(/*spaces_between=*/1);
}

std::string Totals(const Plan& plan) {
  const int64_t updates = plan.total_updates().value();
  const int64_t reference = plan.reference_updates().value();
  if (updates == reference) return fmt::format("{}, as many as the reference", Counted(updates, "update"));
  const double ratio =
      static_cast<double>(std::max(updates, reference)) / static_cast<double>(std::min(updates, reference));
  return fmt::format("{} instead of {}: {:.{}f} times {} sequential steps", Counted(updates, "update"),
                     WithThousands(reference), ratio, ratio < 1.1 ? 3 : 1, updates < reference ? "fewer" : "more");
}

// A call per corner case: name of the option, name of the case, sentence.
template <class Visitor>
void VisitCases(const PlanRequest& request, Visitor&& visit) {
  const auto one = [&](std::string_view option, auto value) {
    visit(option, CaseOf(value).name, CaseOf(value).sentence);
  };
  one("policy", request.policy);
  one("rule", request.law.rule);
  one("noise_form", request.law.form);
  one("rounding", request.rounding);
  one("at_cap", request.at_cap);
  one("epoch_tail", request.epoch_tail);
  one("boundary", request.boundary);
  one("momentum_buffer", request.momentum_buffer);
}

std::string CaseList(const Plan& plan) {
  std::string out;
  VisitCases(plan.request(), [&](std::string_view option, std::string_view name, std::string_view sentence) {
    // A batch that does not grow has no use for these two.
    if (plan.request().policy == schedule::Policy::kDecay && (option == "rounding" || option == "at_cap")) return;
    const std::string columns = fmt::format("  {:<15}  {:<11}  ", option, name);
    out += Wrapped(columns + std::string(sentence), kWidth, DisplayWidth(columns));
  });
  return out;
}

std::string MomentumWarning(const Plan& plan) {
  int64_t losing = 0;
  double most = 0;
  for (const Phase& phase : plan.phases()) {
    if (!plan.LosesTooMuch(phase)) continue;
    ++losing;
    most = std::max(most, phase.lost_epochs);
  }
  if (losing == 0) return "";
  return fmt::format(
      "! After a change of the noise, B / (N (1 - m)) epochs are lost while the momentum buffer fills: up to {:.2f} in "
      "{} "
      "(marked !), more than a twentieth of the {:.4g} epochs before the reference's first drop. Accuracy may suffer "
      "(section 4 of "
      "the paper). A lower schedule.momentum or schedule.max_batch loses less.",
      most, Counted(losing, "phase"), plan.epochs_before_first_drop());
}

std::string LargeBatchWarning(const Plan& plan) {
  const Examples largest = plan.largest_batch();
  if (largest * 10 <= plan.train_examples()) return "";
  return fmt::format(
      "! The batch reaches {}, more than a tenth of the {} training examples, where the two forms of the noise scale "
      "are {:.0f}% apart: "
      "the noise law is for B much smaller than N. schedule.max_batch = \"N/10\" keeps to the paper's advice.",
      WithThousands(largest.value()), WithThousands(plan.train_examples().value()),
      100 * static_cast<double>(largest.value()) / static_cast<double>(plan.train_examples().value()));
}

std::string HeldNoiseWarning(const Plan& plan) {
  double most = 1;
  for (const Phase& phase : plan.phases()) {
    if (phase.reference_noise_scale > 0) most = std::max(most, phase.noise_scale / phase.reference_noise_scale);
  }
  if (most < 1 + 1e-9) return "";
  return fmt::format(
      "! With at_cap = hold the noise stays above the reference's, up to {:.3g} times: this run does not follow the "
      "reference to its "
      "end. at_cap = hybrid does.",
      most);
}

std::string WorkersSentence(const PlanWorkers& workers) {
  if (workers.of_phases.empty()) return "";
  return Wrapped(
      fmt::format("workers: one for each {} examples of the batch (run.worker_batch), as many as are started "
                  "at most, never fewer than before",
                  WithThousands(workers.worker_batch)),
      kWidth, 2);
}

Json PhaseJson(const Plan& plan, const PlanWorkers& workers, size_t i) {
  const Phase& phase = plan.phases()[i];
  Json json = {{"begin_example", phase.begin_example.value()},
               {"end_example", phase.end_example.value()},
               {"begin_update", phase.begin_update.value()},
               {"updates", phase.updates.value()},
               {"global_batch", phase.global_batch.value()},
               {"learning_rate", phase.learning_rate},
               {"learning_rate_end", phase.learning_rate_end},
               {"momentum", phase.momentum},
               {"noise_scale", phase.noise_scale},
               {"noise_scale_exact", phase.noise_scale_exact},
               {"noise_scale_small_batch", phase.noise_scale_small_batch},
               {"reference_noise_scale", phase.reference_noise_scale},
               {"reference_learning_rate", phase.reference_learning_rate},
               {"lost_epochs", phase.lost_epochs},
               {"at_cap", phase.at_cap}};
  if (!workers.of_phases.empty()) json["workers"] = workers.of_phases[i];
  return json;
}

}  // namespace

std::string PlanTable(const Plan& plan, const PlanContext& context) {
  std::string out;
  if (!context.config.empty()) out += fmt::format("plan of {}\n", context.config);
  out += fmt::format("{} training examples{}, {:.6g} epochs = {} examples\n\n",
                     WithThousands(plan.train_examples().value()),
                     context.train_set.empty() ? "" : fmt::format(" ({})", context.train_set),
                     Epochs(plan, plan.total_examples()), WithThousands(plan.total_examples().value()));
  out += PhaseTable(plan, context.workers);
  out +=
      "\n* the form of the noise scale that is held equal to the reference's; lost: epochs while the momentum buffer "
      "fills\n";
  const auto at_cap = std::any_of(plan.phases().begin(), plan.phases().end(), [](const Phase& p) { return p.at_cap; });
  if (at_cap) out += "cap: the batch would be larger, but for its limit\n";
  out += WorkersSentence(context.workers);
  out += fmt::format("\n{}\n\nin force:\n{}", Totals(plan), CaseList(plan));
  for (const std::string& warning : {MomentumWarning(plan), LargeBatchWarning(plan), HeldNoiseWarning(plan)}) {
    if (!warning.empty()) out += '\n' + Wrapped(warning, kWidth, 2);
  }
  return out;
}

std::string PlanJson(const Plan& plan, const PlanWorkers& workers) {
  Json json = {{"train_examples", plan.train_examples().value()},
               {"epochs", Epochs(plan, plan.total_examples())},
               {"total_examples", plan.total_examples().value()},
               {"total_updates", plan.total_updates().value()},
               {"reference_updates", plan.reference_updates().value()}};
  VisitCases(plan.request(), [&](std::string_view option, std::string_view name, std::string_view) {
    json[std::string(option)] = name;
  });
  if (!workers.of_phases.empty()) json["worker_batch"] = workers.worker_batch;
  Json& phases = json["phases"] = Json::array();
  for (size_t i = 0; i < plan.phases().size(); ++i) phases.push_back(PhaseJson(plan, workers, i));
  return json.dump(2) + '\n';
}

std::string PlanCsv(const Plan& plan, const PlanWorkers& workers) {
  std::string out;
  for (size_t i = 0; i < plan.phases().size(); ++i) {
    const Json json = PhaseJson(plan, workers, i);
    std::vector<std::string> names;
    std::vector<std::string> values;
    for (const auto& [name, value] : json.items()) {
      names.push_back(name);
      values.push_back(value.dump());
    }
    if (out.empty()) out = fmt::format("{}\n", fmt::join(names, ","));
    out += fmt::format("{}\n", fmt::join(values, ","));
  }
  return out;
}

void PlanUpdates(const Plan& plan, Format format, std::ostream& out) {
  // fmt prints a double with as many digits as bring back the same double.
  const size_t update_width = std::max<size_t>(6, WithThousands(plan.total_updates().value()).size());
  const size_t example_width = std::max<size_t>(7, WithThousands(plan.total_examples().value()).size());
  if (format == Format::kCsv) {
    out << "update,example,global_batch,learning_rate,momentum,noise_scale,reference_noise_scale\n";
  } else if (format == Format::kTable) {
    out << fmt::format("{:>{}}  {:>{}}  {:>9}  {:>12}  {:>8}  {:>12}  {:>15}\n", "update", update_width, "example",
                       example_width, "batch", "lr", "momentum", "noise", "reference noise");
  }
  for (Plan::Cursor cursor(plan); !cursor.AtEnd(); cursor.Advance()) {
    const schedule::Setting& s = cursor.setting();
    const int64_t update = s.update.value();
    const int64_t example = s.begin.value();
    const int64_t batch = s.global_batch.value();
    switch (format) {
      case Format::kJson:
        out << fmt::format(
            R"({{"update":{},"example":{},"global_batch":{},"learning_rate":{},"momentum":{},"noise_scale":{},)"
            R"("reference_noise_scale":{}}})"
            "\n",
            update, example, batch, s.learning_rate, s.momentum, s.noise_scale, s.reference_noise_scale);
        break;
      case Format::kCsv:
        out << fmt::format("{},{},{},{},{},{},{}\n", update, example, batch, s.learning_rate, s.momentum, s.noise_scale,
                           s.reference_noise_scale);
        break;
      case Format::kTable:
        out << fmt::format("{:>{}}  {:>{}}  {:>9}  {:>12.6g}  {:>8.4g}  {:>12.6g}  {:>15.6g}\n", WithThousands(update),
                           update_width, WithThousands(example), example_width, WithThousands(batch), s.learning_rate,
                           s.momentum, s.noise_scale, s.reference_noise_scale);
        break;
    }
  }
}

}  // namespace crescendo::report
