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

constexpr int64_t kWidth = 120;  // of sentences, where there is no terminal or a wider one
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

// How easily a column is done without: in a table that is too wide the highest go first.
enum Spare { kNeeded, kNoise, kLost, kMomentum, kReferenceNoise, kReferenceBatch, kOtherForm };

// The phases, beside the reference: of it, momentum and noise only where they are not this run's. Columns that are more
// spare than `most` are left out.
TextTable PhaseTable(const Plan& plan, const PlanWorkers& workers, Spare most) {
  const std::vector<Phase>& phases = plan.phases();
  const bool exact_held = plan.request().law.form == schedule::NoiseForm::kExact;
  const int decimals = Epochs(plan, plan.total_examples()) < 10 ? 3 : 2;
  std::vector<TextTable::Column> heads;
  std::vector<std::function<std::string(size_t phase)>> cells;
  const auto column = [&](const char* name, std::function<std::string(size_t phase)> cell, Align align = Align::kRight,
                          Spare spare = kNeeded) {
    if (spare > most) return;
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
  column(
      "momentum", [&](size_t i) { return fmt::format("{:.4g}", phases[i].momentum); }, Align::kRight, kMomentum);
  column(
      exact_held ? "noise" : "noise*",
      [&](size_t i) { return Range(phases[i].noise_scale_small_batch, phases[i].noise_scale_small_batch_end); },
      Align::kRight, exact_held ? kOtherForm : kNoise);
  column(
      exact_held ? "exact*" : "exact",
      [&](size_t i) { return Range(phases[i].noise_scale_exact, phases[i].noise_scale_exact_end); }, Align::kRight,
      exact_held ? kNoise : kOtherForm);
  if (std::ranges::any_of(phases, [](const Phase& p) { return p.momentum > 0; })) {
    column(
        "lost", [&](size_t i) { return fmt::format("{:.2f}", phases[i].lost_epochs); }, Align::kRight, kLost);
  }
  column(
      "| reference lr",
      [&](size_t i) { return "| " + Range(phases[i].reference_learning_rate, phases[i].reference_learning_rate_end); },
      Align::kLeft);
  column(
      "batch", [&](size_t) { return WithThousands(plan.request().reference.global_batch.value()); }, Align::kRight,
      kReferenceBatch);
  if (std::ranges::any_of(phases, [](const Phase& p) { return p.momentum != p.reference_momentum; })) {
    column(
        "momentum", [&](size_t i) { return fmt::format("{:.4g}", phases[i].reference_momentum); }, Align::kRight,
        kMomentum);
  }
  if (std::ranges::any_of(phases, HoldsNoise)) {
    column(
        exact_held ? "exact*" : "noise*",
        [&](size_t i) { return Range(phases[i].reference_noise_scale, phases[i].reference_noise_scale_end); },
        Align::kRight, kReferenceNoise);
  }
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

int64_t Widest(std::string_view lines) {
  int64_t widest = 0;
  for (; !lines.empty(); lines.remove_prefix(std::min(lines.find('\n') + 1, lines.size()))) {
    widest = std::max(widest, DisplayWidth(lines.substr(0, lines.find('\n'))));
  }
  return widest;
}

// Of all columns, where `width` is 0; else as wide as that where it can be.
std::string FittedPhaseTable(const Plan& plan, const PlanWorkers& workers, int64_t width) {
  std::string text;
  for (int most = kOtherForm; most >= kNeeded; --most) {
    const TextTable table = PhaseTable(plan, workers, static_cast<Spare>(most));
    for (const int64_t spaces_between : {2, 1}) {
      text = table.Render(spaces_between);
      if (width == 0 || Widest(text) <= width) return text;
    }
  }
  return text;
}

std::string Totals(const Plan& plan) {
  const int64_t updates = plan.total_updates().value();
  const int64_t reference = plan.reference_updates().value();
  if (updates == reference) return fmt::format("{}, as many as the reference", Counted(updates, "update"));
  return fmt::format("{} instead of {}: {}", Counted(updates, "update"), WithThousands(reference),
                     TimesText(static_cast<double>(updates), static_cast<double>(reference), "sequential steps"));
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

std::string CaseList(const Plan& plan, int64_t width) {
  std::string out;
  VisitCases(plan.request(), [&](std::string_view option, std::string_view name, std::string_view sentence) {
    // A batch that does not grow has no use for these two.
    if (plan.request().policy == schedule::Policy::kDecay && (option == "rounding" || option == "at_cap")) return;
    const std::string columns = fmt::format("  {:<15}  {:<11}  ", option, name);
    const std::string numbers = option == "rounding" ? RoundingNumbers(plan.request()) : "";
    out += Wrapped(columns + std::string(sentence) + numbers, width, DisplayWidth(columns));
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
      "{} (marked !), more than a twentieth of the {:.4g} epochs before the reference's noise has fallen to half. "
      "Accuracy may suffer (section 4 of the paper). A lower schedule.momentum or schedule.max_batch loses less.",
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

// That mean is the size of a gradient with the noise of its batch, which divides the step.
std::string SecondMomentWarning(const Plan& plan, double beta2) {
  constexpr double kMost = 0.1;  // of a phase
  if (beta2 <= 0) return "";
  const double updates = 1 / (1 - beta2);
  const std::vector<Phase>& phases = plan.phases();
  size_t shortest = 0;  // of those that begin with a larger batch; 0: there is none
  for (size_t i = 1; i < phases.size(); ++i) {
    const bool grows = phases[i].global_batch > phases[i - 1].global_batch;
    if (grows && (shortest == 0 || phases[i].updates < phases[shortest].updates)) shortest = i;
  }
  if (shortest == 0 || updates <= kMost * static_cast<double>(phases[shortest].updates.value())) return "";
  return fmt::format(
      "! Adam's second moment is a mean over the last 1 / (1 - beta2) = {:.4g} updates: for so long after the batch "
      "grows it is still that of a smaller batch, whose gradients are noisier, and steps are too small. Phase {} has "
      "{} updates. A lower optimizer.beta2 follows sooner.",
      updates, shortest + 1, WithThousands(phases[shortest].updates.value()));
}

std::string MoreUpdatesWarning(const Plan& plan) {
  if (plan.request().policy != schedule::Policy::kGrow || plan.total_updates() <= plan.reference_updates()) return "";
  return fmt::format(
      "! More updates than the reference takes ({} instead of {}): a growing batch is to take fewer. Does the "
      "reference's learning rate rise (a reference.factor above 1), or is schedule.max_batch below its batch?",
      WithThousands(plan.total_updates().value()), WithThousands(plan.reference_updates().value()));
}

// Inside a phase the learning rate only rises or only falls.
double LargestRate(const Phase& phase) { return std::max(phase.learning_rate, phase.learning_rate_end); }

std::string LargeRateWarning(const Plan& plan) {
  constexpr double kAFewPercent = 1.05;  // what rounding to whole examples comes to
  const double stated = plan.request().learning_rate;
  const Phase& phase = *std::ranges::max_element(plan.phases(), {}, LargestRate);
  if (LargestRate(phase) <= kAFewPercent * stated) return "";
  return fmt::format(
      "! The learning rate reaches {:.4g} in phase {}, {:.3g} times what is meant to be its largest, {:.4g} "
      "(schedule.learning_rate; the reference's where that states none): the batch there, {}, is larger than the one "
      "that has the reference's noise at {:.4g}, and a larger learning rate keeps the noise.{}",
      LargestRate(phase), &phase - plan.phases().data() + 1, LargestRate(phase) / stated, stated,
      WithThousands(phase.global_batch.value()), stated,
      plan.request().rounding == schedule::Rounding::kNearest ? ""
                                                              : " schedule.rounding = nearest stays closer to it.");
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

Examples SmallestBatch(const Plan& plan) {
  return std::ranges::min(plan.phases(), {}, &Phase::global_batch).global_batch;
}

std::string GhostBatchWarning(const Plan& plan, int64_t ghost_batch) {
  const int64_t smallest = SmallestBatch(plan).value();
  const int64_t largest = plan.largest_batch().value();
  if (ghost_batch <= smallest || largest == smallest) return "";
  return fmt::format(
      "! model.ghost_batch = {} is more than the smallest batch, {}: until the batch reaches it, all of it is one "
      "ghost batch, which grows to {} examples. So the noise of batch norm falls during the run, which the noise scale "
      "does not count. model.ghost_batch = {} keeps it.",
      ghost_batch, smallest, std::min(ghost_batch, largest), std::max<int64_t>(2, smallest));
}

std::string OneExampleWarning(const Plan& plan, int64_t ghost_batch) {
  if (ghost_batch == 0 || SmallestBatch(plan) > Examples{1}) return "";
  return "! A batch of 1 has no statistics for batch norm: an mlp then normalises by the running statistics, which "
         "stay as they are, a wide_resnet each image by itself. A larger schedule.learning_rate, schedule.max_batch or "
         "reference.global_batch makes the batch larger; an mlp can do with model.batch_norm = false.";
}

// What the names of the columns do not say. `names`: the line of them.
std::string Legend(const Plan& plan, const PlanWorkers& workers, std::string_view names, int64_t width) {
  std::string out;
  if (names.find('*') != names.npos) {
    out += Wrapped("* the form of the noise scale that is held equal to the reference's", width, 2);
  }
  if (names.find("lost") != names.npos) out += "lost: epochs while the momentum buffer fills\n";
  if (std::ranges::any_of(plan.phases(), &Phase::at_cap)) out += "cap: the batch would be larger, but for its limit\n";
  if (workers.of_phases.empty()) return out;
  return out + Wrapped(fmt::format("workers: one for each {} examples of the batch (run.worker_batch), as many as are "
                                   "started at most, never fewer than before",
                                   WithThousands(workers.worker_batch)),
                       width, 2);
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
  const std::string table = FittedPhaseTable(plan, context.workers, context.width);
  const int64_t width = context.width == 0 ? kWidth : std::min(context.width, kWidth);
  out += fmt::format("{}\n{}\n{}\n\nin force:\n{}", table,
                     Legend(plan, context.workers, table.substr(0, table.find('\n')), width), Totals(plan),
                     CaseList(plan, width));
  for (const std::string& warning :
       {MomentumWarning(plan), SecondMomentWarning(plan, context.beta2), LargeBatchWarning(plan),
        MoreUpdatesWarning(plan), HeldNoiseWarning(plan), LargeRateWarning(plan), ShortUpdatesWarning(plan),
        GhostBatchWarning(plan, context.ghost_batch), OneExampleWarning(plan, context.ghost_batch)}) {
    if (!warning.empty()) out += '\n' + Wrapped(warning, width, 2);
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
  const size_t batch_width = std::max<size_t>(5, WithThousands(plan.largest_batch().value()).size());
  if (format == Format::kCsv) {
    out << "update,example,global_batch,learning_rate,momentum,noise_scale,reference_noise_scale\n";
  } else if (format == Format::kTable) {
    out << fmt::format("{:>{}}  {:>{}}  {:>{}}  {:>11}  {:>8}  {:>11}  {:>15}\n", "update", update_width, "example",
                       example_width, "batch", batch_width, "lr", "momentum", "noise", "reference noise");
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
        out << fmt::format("{:>{}}  {:>{}}  {:>{}}  {:>11.6g}  {:>8.4g}  {:>11.6g}  {:>15.6g}\n", WithThousands(update),
                           update_width, WithThousands(example), example_width, WithThousands(batch), batch_width,
                           s.learning_rate, s.momentum, s.noise_scale, s.reference_noise_scale);
        break;
    }
  }
}

}  // namespace crescendo::report
