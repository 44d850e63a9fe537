#include "crescendo/report/plan_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <utility>

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

// "0.1", or "0.1 to 0.02" where the number moves inside the phase.
std::string Range(double begin, double end) {
  const std::string first = fmt::format("{:.3g}", begin);
  const std::string last = fmt::format("{:.3g}", end);
  return first == last ? fmt::format("{:.4g}", begin) : fmt::format("{} to {}", first, last);
}

// How many times the reference's the noise of the phase gets.
double NoiseRatio(const Phase& phase) {
  double most = 1;
  for (const auto& [own, reference] : {std::pair(phase.noise_scale, phase.reference_noise_scale),
                                       std::pair(phase.noise_scale_end, phase.reference_noise_scale_end)}) {
    if (reference > 0) most = std::max(most, own / reference);
  }
  return most;
}

bool HoldsNoise(const Phase& phase) { return NoiseRatio(phase) > 1 + 1e-9; }

// The phases, beside the reference: of it, momentum and noise only where they are not this run's. Without `both_forms`
// of the noise scale, the one that is held.
TextTable PhaseTable(const Plan& plan, const PlanWorkers& workers, bool both_forms) {
  const std::vector<Phase>& phases = plan.phases();
  const bool exact_held = plan.request().law.form == schedule::NoiseForm::kExact;
  const int decimals = Epochs(plan, plan.total_examples()) < 10 ? 3 : 2;
  std::vector<TextTable::Column> heads;
  std::vector<std::function<std::string(size_t phase)>> cells;
  const auto column = [&](const char* name, std::function<std::string(size_t phase)> cell,
                          Align align = Align::kRight) {
    heads.push_back({name, align});
    cells.push_back(std::move(cell));
  };
  column("phase", [&](size_t i) { return std::to_string(i + 1); });
  column("epochs", [&](size_t i) {
    return fmt::format("{:.{}f} - {:.{}f}", Epochs(plan, phases[i].begin_example), decimals,
                       Epochs(plan, phases[i].end_example), decimals);
  });
  column("updates", [&](size_t i) { return WithThousands(phases[i].updates.value()); });
  column("batch", [&](size_t i) { return WithThousands(phases[i].global_batch.value()); });
  if (!workers.of_phases.empty()) column("workers", [&](size_t i) { return WithThousands(workers.of_phases[i]); });
  column(
      "lr", [&](size_t i) { return Range(phases[i].learning_rate, phases[i].learning_rate_end); }, Align::kLeft);
  column("momentum", [&](size_t i) { return fmt::format("{:.4g}", phases[i].momentum); });
  if (both_forms || !exact_held) {
    column(exact_held ? "noise" : "noise*",
           [&](size_t i) { return Range(phases[i].noise_scale_small_batch, phases[i].noise_scale_small_batch_end); });
  }
  if (both_forms || exact_held) {
    column(exact_held ? "exact*" : "exact",
           [&](size_t i) { return Range(phases[i].noise_scale_exact, phases[i].noise_scale_exact_end); });
  }
  column(
      "| reference lr",
      [&](size_t i) { return "| " + Range(phases[i].reference_learning_rate, phases[i].reference_learning_rate_end); },
      Align::kLeft);
  column("batch", [&](size_t) { return WithThousands(plan.request().reference.global_batch.value()); });
  if (std::ranges::any_of(phases, [](const Phase& p) { return p.momentum != p.reference_momentum; })) {
    column("momentum", [&](size_t i) { return fmt::format("{:.4g}", phases[i].reference_momentum); });
  }
  if (std::ranges::any_of(phases, HoldsNoise)) {
    column(exact_held ? "exact*" : "noise*",
           [&](size_t i) { return Range(phases[i].reference_noise_scale, phases[i].reference_noise_scale_end); });
  }
  column("lost", [&](size_t i) { return fmt::format("{:.2f}", phases[i].lost_epochs); });
  column(
      "",
      [&](size_t i) {
        std::string marks = plan.LosesTooMuch(phases[i]) ? "!" : "";
        if (phases[i].at_cap) marks += marks.empty() ? "cap" : " cap";
        return marks;
      },
      Align::kLeft);

  TextTable table(heads);
  for (size_t i = 0; i < phases.size(); ++i) {
    if (phases.size() > kMostRows && i == kFirstRows) {
      const size_t left_out = phases.size() - kMostRows;
      table.AddLine(fmt::format("  ... {} more phases ...", WithThousands(static_cast<int64_t>(left_out))));
      i += left_out;
    }
    std::vector<std::string> row;
    for (const auto& cell : cells) row.push_back(cell(i));
    table.AddRow(std::move(row));
  }
  return table;
}

std::string FittedPhaseTable(const Plan& plan, const PlanWorkers& workers) {
  std::string text;
  for (const bool both_forms : {true, false}) {
    const TextTable table = PhaseTable(plan, workers, both_forms);
    for (const int64_t spaces_between : {2, 1}) {
      text = table.Render(spaces_between);
      const size_t width = text.find('\n') + 7;  // the line of names, and "  ! cap", which has none
      if (width <= kWidth) return text;
    }
  }
  return text;
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
  visit("noise_form", NameOf(request.law.form), schedule::FormulaText(request.law));
  one("rounding", request.rounding);
  one("at_cap", request.at_cap);
  one("epoch_tail", request.epoch_tail);
  one("boundary", request.boundary);
  one("momentum_buffer", request.momentum_buffer);
}

// What the rounding works with.
std::string RoundingNumbers(const PlanRequest& request) {
  std::string numbers = fmt::format("; hysteresis = {:.6g}", request.hysteresis);
  if (request.rounding == schedule::Rounding::kMultiple)
    numbers += fmt::format(", batch_multiple = {}", request.batch_multiple);
  if (request.rounding == schedule::Rounding::kPower)
    numbers += fmt::format(", growth_factor = {:.6g}", request.growth_factor);
  return numbers;
}

std::string CaseList(const Plan& plan) {
  std::string out;
  VisitCases(plan.request(), [&](std::string_view option, std::string_view name, std::string_view sentence) {
    // A batch that does not grow has no use for these two.
    if (plan.request().policy == schedule::Policy::kDecay && (option == "rounding" || option == "at_cap")) return;
    const std::string columns = fmt::format("  {:<15}  {:<11}  ", option, name);
    const std::string numbers = option == "rounding" ? RoundingNumbers(plan.request()) : "";
    out += Wrapped(columns + std::string(sentence) + numbers, kWidth, DisplayWidth(columns));
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

std::string MoreUpdatesWarning(const Plan& plan) {
  if (plan.request().policy != schedule::Policy::kGrow || plan.total_updates() <= plan.reference_updates()) return "";
  return fmt::format(
      "! More updates than the reference takes ({} instead of {}): a growing batch is to take fewer. Does the "
      "reference's learning rate rise (a reference.factor above 1), or is schedule.max_batch below its batch?",
      WithThousands(plan.total_updates().value()), WithThousands(plan.reference_updates().value()));
}

std::string HeldNoiseWarning(const Plan& plan) {
  if (std::ranges::none_of(plan.phases(), HoldsNoise)) return "";
  double most = 1;
  for (const Phase& phase : plan.phases()) most = std::max(most, NoiseRatio(phase));
  return fmt::format(
      "! With at_cap = hold the noise stays above the reference's, up to {} times: this run does not follow the "
      "reference to its end. at_cap = hybrid does.",
      most < 100 ? fmt::format("{:.3g}", most) : WithThousands(std::llround(most)));
}

// The update that holds the least of its phase's batch, of those that a choice other than the default makes short; else
// none.
std::optional<schedule::Setting> ShortestUpdate(const Plan& plan) {
  const PlanRequest& request = plan.request();
  std::optional<schedule::Setting> shortest;
  const auto share = [&](const schedule::Setting& setting) {
    return static_cast<double>(setting.global_batch.value()) /
           static_cast<double>(plan.phases()[setting.phase].global_batch.value());
  };
  const auto consider = [&](Updates update) {
    const schedule::Setting setting = plan.At(update);
    if (share(setting) < (shortest ? share(*shortest) : 1)) shortest = setting;
  };
  for (const Phase& phase : plan.phases()) {
    const Updates last = phase.begin_update + phase.updates - Updates{1};
    if (request.boundary == schedule::Boundary::kCut) consider(last);
    if (request.epoch_tail != schedule::EpochTail::kShort) continue;
    // Two epochs' ends show all: the first part of an epoch may be any, after that all epochs are cut alike.
    const schedule::UpdateGrid grid(phase.begin_example, phase.global_batch, request.train_examples,
                                    request.epoch_tail);
    const Examples epoch = request.train_examples;
    const Examples first_end = epoch * (phase.begin_example / epoch + 1);
    for (const Examples end : {first_end, first_end + epoch}) {
      consider(std::min(phase.begin_update + Updates{grid.CountBeginningBefore(end) - 1}, last));
    }
  }
  return shortest;
}

std::string ShortUpdatesWarning(const Plan& plan) {
  const std::optional<schedule::Setting> shortest = ShortestUpdate(plan);
  if (!shortest) return "";
  return fmt::format(
      "! Short updates (epoch_tail, boundary) run at a learning rate below the table's, which keeps their noise: down "
      "to "
      "{} examples of {} at lr {:.4g} in phase {}. --updates shows them all.",
      WithThousands(shortest->global_batch.value()), WithThousands(plan.phases()[shortest->phase].global_batch.value()),
      shortest->learning_rate, shortest->phase + 1);
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
  out += FittedPhaseTable(plan, context.workers);
  out +=
      "\n* the form of the noise scale that is held equal to the reference's; lost: epochs while the momentum buffer "
      "fills\n";
  const auto at_cap = std::any_of(plan.phases().begin(), plan.phases().end(), [](const Phase& p) { return p.at_cap; });
  if (at_cap) out += "cap: the batch would be larger, but for its limit\n";
  out += WorkersSentence(context.workers);
  out += fmt::format("\n{}\n\nin force:\n{}", Totals(plan), CaseList(plan));
  for (const std::string& warning : {MomentumWarning(plan), LargeBatchWarning(plan), MoreUpdatesWarning(plan),
                                     HeldNoiseWarning(plan), ShortUpdatesWarning(plan)}) {
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

std::optional<int64_t> TrainExamplesIn(const std::string& plan_json) {
  const Json json = Json::parse(plan_json, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("train_examples")) return std::nullopt;
  const Json& count = json["train_examples"];
  return count.is_number_integer() ? std::optional(count.get<int64_t>()) : std::nullopt;
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
