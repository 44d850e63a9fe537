#include "crescendo/report/plan_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "crescendo/base/error.h"
#include "crescendo/report/markup.h"
#include "crescendo/report/text_table.h"

namespace crescendo::report {
namespace {

using schedule::Examples;
using schedule::Phase;
using schedule::Plan;
using schedule::Setting;

// The page, in pixels.
constexpr double kWidth = 960;
constexpr double kMargin = 24;
constexpr double kPanelGap = 20;
constexpr double kTickGutter = 50;  // for the numbers left of a panel
constexpr double kPanelTop = 62;
constexpr double kPanelHeight = 200;
constexpr double kLegendTop = kPanelTop + kPanelHeight + 78;
constexpr double kLegendRow = 26;
constexpr double kLetter = 7.4;   // a generous width for a letter of the legend
constexpr double kSamples = 120;  // of a rate that moves during the whole run
constexpr double kMostDecades = 5;

// Okabe and Ito's palette, told apart by colour-blind eyes too; lighter on a dark page.
constexpr const char* kLight[] = {"#0072b2", "#d55e00", "#009e73", "#b0478e", "#b97d00", "#3a3a3a"};
constexpr const char* kDark[] = {"#56b4e9", "#ff9248", "#3ddc9f", "#f09acb", "#f0c84a", "#dddddd"};
constexpr const char* kDashes[] = {"none", "9 5", "3 3", "12 4 3 4", "5 3", "16 5"};
constexpr size_t kStyles = std::size(kLight);

struct Point {
  double epoch;
  double value;
};

double Epochs(const Plan& plan, Examples position) {
  return static_cast<double>(position.value()) / static_cast<double>(plan.train_examples().value());
}

// A quantity of the plan along the run, as corners of a line. Short updates are left out: they would be a needle at the
// end.
std::vector<Point> Curve(const Plan& plan, const std::function<double(const Setting&)>& value_of) {
  std::vector<Point> points;
  for (const Phase& phase : plan.phases()) {
    const double begin = Epochs(plan, phase.begin_example);
    const double end = Epochs(plan, phase.end_example);
    const bool moves = phase.learning_rate != phase.learning_rate_end;
    int64_t last = phase.updates.value() - 1;
    if (last > 0 && plan.At(phase.begin_update + schedule::Updates{last}).global_batch < phase.global_batch) --last;
    const double share = (end - begin) / Epochs(plan, plan.total_examples());
    const int64_t samples = moves ? std::min(static_cast<int64_t>(std::ceil(kSamples * share)), last) : 0;
    for (int64_t i = 0; i <= samples; ++i) {
      const Setting setting = plan.At(phase.begin_update + schedule::Updates{i == 0 ? 0 : last * i / samples});
      if (i > 0 && setting.global_batch < phase.global_batch) continue;
      points.push_back({Epochs(plan, setting.begin), value_of(setting)});
    }
    points.push_back({end, points.back().value});
  }
  return points;
}

std::string NumberText(double value) {
  if (value >= 1000) return WithThousands(std::llround(value));
  std::string text = fmt::format("{:.3g}", value);
  if (const size_t zero = text.find("e-0"); zero != std::string::npos) text.erase(zero + 2, 1);
  return text;
}

// A logarithmic axis, bottom to top of a panel.
class LogAxis {
 public:
  explicit LogAxis(const std::vector<std::vector<Point>>& curves) {
    double largest = 0;
    for (const auto& curve : curves) {
      for (const Point& point : curve) largest = std::max(largest, point.value);
    }
    if (largest <= 0) largest = 1;
    double smallest = largest;
    for (const auto& curve : curves) {
      for (const Point& point : curve) {
        if (point.value >= largest * std::pow(10, -kMostDecades)) smallest = std::min(smallest, point.value);
        values_.insert(point.value);
      }
    }
    const double space = std::max(0.06 * std::log10(largest / smallest), 0.12);
    low_ = std::log10(smallest) - space;
    high_ = std::log10(largest) + space;
  }

  // Values below the axis are drawn at its foot.
  double Y(double value) const {
    const double height = value > 0 ? (std::log10(value) - low_) / (high_ - low_) : 0;
    return kPanelTop + kPanelHeight * (1 - std::clamp(height, 0.0, 1.0));
  }

  // The values themselves where they are few and apart, since they mean more than round numbers; else powers of ten,
  // with 2 and 5 between them on a short axis.
  std::vector<double> Ticks() const {
    std::vector<double> own;
    for (const double value : values_) {
      if (value > 0 && (own.empty() || value > own.back() * (1 + 1e-6))) own.push_back(value);
    }
    bool apart = own.size() <= 6;
    for (size_t i = 1; apart && i < own.size(); ++i) apart = Y(own[i - 1]) - Y(own[i]) >= 18;
    if (apart) return own;
    std::vector<double> digits = {1};
    if (high_ - low_ < 2) {
      digits = {1, 2, 5};
    } else if (high_ - low_ < 4) {
      digits = {1, 3};
    }
    std::vector<double> ticks;
    for (double power = std::floor(low_); power <= high_; power += 1) {
      for (const double digit : digits) {
        const double value = digit * std::pow(10, power);
        if (std::log10(value) > low_ && std::log10(value) < high_) ticks.push_back(value);
      }
    }
    return ticks;
  }

 private:
  double low_ = 0;
  double high_ = 1;
  std::set<double> values_;
};

// 1, 2 or 5 times a power of ten, so that about four ticks fit.
double TickStep(double length) {
  const double rough = length / 4;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double digit : {1.0, 2.0, 5.0}) {
    if (digit * power >= rough * 0.8) return digit * power;
  }
  return 10 * power;
}

// Whether the plans have the same noise but for where exactly their updates begin.
bool SameNoise(const std::vector<NamedPlan>& plans) {
  constexpr int kPlaces = 200;
  int same = 0;
  for (int i = 0; i < kPlaces; ++i) {
    double low = HUGE_VAL;
    double high = 0;
    for (const NamedPlan& named : plans) {
      const Examples total = named.plan.total_examples();
      const double noise = named.plan.AtExample(Examples{total.value() * i / kPlaces}).noise_scale;
      low = std::min(low, noise);
      high = std::max(high, noise);
    }
    if (high <= low * 1.05) ++same;
  }
  return plans.size() > 1 && same >= 0.95 * kPlaces;
}

// The formula of the noise scale, where the plans agree on it.
std::string NoiseNote(const std::vector<NamedPlan>& plans) {
  const schedule::NoiseLaw law = plans.front().plan.request().law;
  for (const NamedPlan& named : plans) {
    const schedule::NoiseLaw other = named.plan.request().law;
    if (other.form != law.form || other.rule != law.rule) return "";
  }
  const bool exact = law.form == schedule::NoiseForm::kExact;
  std::string formula = exact ? "ε (N/B − 1) / (1 − m)" : "ε N / (B (1 − m))";
  if (law.rule != schedule::ScalingRule::kLinear) formula = exact ? "ε √(N/B − 1) / (1 − m)" : "ε √(N/B) / (1 − m)";
  return formula + (SameNoise(plans) ? ", the same for all" : "");
}

std::string Panel(double left, double width, std::string_view title, std::string_view note, double epochs,
                  const std::vector<std::vector<Point>>& curves) {
  const LogAxis axis(curves);
  const double right = left + width;
  const double bottom = kPanelTop + kPanelHeight;
  const auto x = [&](double epoch) { return left + width * epoch / epochs; };
  std::string out = fmt::format("<text class=\"title\" x=\"{:.1f}\" y=\"34\">{}</text>\n", left, title);
  out += fmt::format("<text class=\"note\" x=\"{:.1f}\" y=\"51\">{}</text>\n", left, note);
  for (const double tick : axis.Ticks()) {
    out += fmt::format("<path class=\"grid\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>", left, axis.Y(tick), right);
    out += fmt::format("<text class=\"tick\" text-anchor=\"end\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", left - 8,
                       axis.Y(tick) + 4, NumberText(tick));
  }
  const double step = TickStep(epochs);
  for (double epoch = 0; epoch <= epochs * (1 + 1e-9); epoch += step) {
    out += fmt::format("<path class=\"axis\" d=\"M{:.1f} {:.1f}v5\"/>", x(epoch), bottom);
    out += fmt::format("<text class=\"tick\" text-anchor=\"middle\" x=\"{:.1f}\" y=\"{:.1f}\">{:.4g}</text>\n",
                       x(epoch), bottom + 20, epoch);
  }
  out += fmt::format("<path class=\"axis\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>", left, bottom, right);
  out += fmt::format("<text class=\"tick\" text-anchor=\"middle\" x=\"{:.1f}\" y=\"{:.1f}\">epochs</text>\n",
                     left + width / 2, bottom + 39);
  for (size_t i = 0; i < curves.size(); ++i) {
    // Corners that cannot be told from the one before are left out: a plan may have thousands of phases.
    std::string d;
    double x_before = -kWidth;
    double y_before = 0;
    for (const Point& point : curves[i]) {
      const double x_here = x(point.epoch);
      const double y_here = axis.Y(point.value);
      if (std::hypot(x_here - x_before, y_here - y_before) < 0.4 && &point != &curves[i].back()) continue;
      d += fmt::format("{}{:.1f} {:.1f}", d.empty() ? "M" : "L", x_here, y_here);
      x_before = x_here;
      y_before = y_here;
    }
    out += fmt::format("<path class=\"line s{}\" d=\"{}\"/>\n", i % kStyles, d);
  }
  return out;
}

// A row per schedule: its line, its name, and its updates as a bar and a number.
std::string Legend(const std::vector<NamedPlan>& plans) {
  int64_t longest_name = 0;
  int64_t most_updates = 0;
  for (const NamedPlan& named : plans) {
    longest_name = std::max(longest_name, DisplayWidth(named.name));
    most_updates = std::max(most_updates, named.plan.total_updates().value());
  }
  const double name_left = kMargin + kTickGutter + 52;
  const double bar_left = std::min(name_left + kLetter * static_cast<double>(longest_name) + 24, kWidth / 2);
  const double bar_room = kWidth - kMargin - bar_left - 130;  // the number stands behind the bar
  std::string out;
  for (size_t i = 0; i < plans.size(); ++i) {
    const double y = kLegendTop + kLegendRow * static_cast<double>(i);
    const int64_t updates = plans[i].plan.total_updates().value();
    const double length = std::max(2.0, bar_room * static_cast<double>(updates) / static_cast<double>(most_updates));
    out += fmt::format("<path class=\"line s{}\" d=\"M{:.1f} {:.1f}h38\"/>", i % kStyles, name_left - 52, y);
    out += fmt::format("<text class=\"name\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>", name_left, y + 4.5,
                       Escaped(plans[i].name));
    out += fmt::format("<rect class=\"f{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"10\" rx=\"2\"/>",
                       i % kStyles, bar_left, y - 5, length);
    out += fmt::format("<text class=\"name\" x=\"{:.1f}\" y=\"{:.1f}\">{} updates</text>\n", bar_left + length + 10,
                       y + 4.5, WithThousands(updates));
  }
  return out;
}

std::string Style(size_t count) {
  std::string light;
  std::string dark;
  std::string lines;
  count = std::min(count, kStyles);
  for (size_t i = 0; i < count; ++i) {
    light += fmt::format("--c{}:{};", i, kLight[i]);
    dark += fmt::format("--c{}:{};", i, kDark[i]);
    // Each line is narrower than the one before, so that lines that lie on each other all show.
    const double width =
        3 + 2.4 * static_cast<double>(count - 1 - i) / static_cast<double>(std::max<size_t>(1, count - 1));
    lines +=
        fmt::format(".s{0}{{stroke:var(--c{0});stroke-dasharray:{1};stroke-width:{2:.1f}}}.f{0}{{fill:var(--c{0})}}\n",
                    i, kDashes[i], width);
  }
  return fmt::format(R"(<style>
:root{{--page:#ffffff;--ink:#1f2328;--soft:#59636e;--rule:#d9dee3;{}}}
@media (prefers-color-scheme:dark){{:root{{--page:#0d1117;--ink:#e6edf3;--soft:#9198a1;--rule:#30363d;{}}}}}
text{{font-family:system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif;fill:var(--ink)}}
.title{{font-size:15px;font-weight:600}}
.note,.tick{{font-size:12px;fill:var(--soft)}}
.tick{{font-variant-numeric:tabular-nums}}
.name{{font-size:13.5px}}
.page{{fill:var(--page)}}
.grid{{stroke:var(--rule);fill:none}}
.axis{{stroke:var(--soft);fill:none}}
.line{{fill:none;stroke-linejoin:round}}
{}</style>
)",
                     light, dark, lines);
}

}  // namespace

std::string PlanChartSvg(const std::vector<NamedPlan>& plans) {
  CRESCENDO_ASSERT(!plans.empty(), "a chart of at least one plan");
  double epochs = 0;
  std::vector<std::vector<Point>> rates;
  std::vector<std::vector<Point>> batches;
  std::vector<std::vector<Point>> noises;
  for (const auto& [name, plan] : plans) {
    epochs = std::max(epochs, Epochs(plan, plan.total_examples()));
    rates.push_back(Curve(plan, [](const Setting& setting) { return setting.learning_rate; }));
    batches.push_back(Curve(plan, [](const Setting& s) { return static_cast<double>(s.global_batch.value()); }));
    noises.push_back(Curve(plan, [](const Setting& setting) { return setting.noise_scale; }));
  }
  const double panel = (kWidth - 2 * kMargin - 2 * kPanelGap) / 3;
  const auto left = [&](int i) { return kMargin + kTickGutter + i * (panel + kPanelGap); };
  const double width = panel - kTickGutter;
  const double height = kLegendTop + kLegendRow * static_cast<double>(plans.size()) + 4;
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" role=\"img\">\n"
      "<title>Learning rate, batch and noise scale of {2} over {3:.4g} epochs</title>\n",
      kWidth, height, plans.size() == 1 ? "a schedule" : fmt::format("{} schedules", plans.size()), epochs);
  out += Style(plans.size());
  out += fmt::format("<rect class=\"page\" width=\"{}\" height=\"{}\" rx=\"8\"/>\n", kWidth, height);
  out += Panel(left(0), width, "learning rate", "ε of each update", epochs, rates);
  out += Panel(left(1), width, "global batch", "B, examples per update", epochs, batches);
  out += Panel(left(2), width, "noise scale", NoiseNote(plans), epochs, noises);
  out += Legend(plans);
  return out + "</svg>\n";
}

}  // namespace crescendo::report
