#include "crescendo/report/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include "crescendo/report/text_table.h"

namespace crescendo::report {
namespace {

constexpr double kTerminalInterval = 0.2;  // seconds between two showings
constexpr double kPlainInterval = 10;
constexpr int64_t kMostPhasesAnnounced = 40;  // a smooth schedule may have thousands
constexpr int kWidthUnknown = 100;
constexpr int kBarWidth = 16;

double SteadySeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double Ratio(schedule::Examples part, schedule::Examples whole) {
  return static_cast<double>(part.value()) / static_cast<double>(whole.value());
}

std::string Bar(double done) {
  const int full = std::clamp(static_cast<int>(std::floor(done * kBarWidth)), 0, kBarWidth);
  return fmt::format("[{:=<{}}{: <{}}]", "", full, "", kBarWidth - full);
}

// 99.96 % is not 100 %.
std::string Percent(double done) { return fmt::format("{:3.0f}%", std::floor(100 * done)); }

std::string RateText(double per_second) {
  return per_second < 10 ? fmt::format("{:.1f}", per_second) : WithThousands(std::llround(per_second));
}

std::string LossText(double loss) { return fmt::format("loss {:.4f}", loss); }

std::string AccuracyText(double accuracy) { return fmt::format("test {:.2f}%", 100 * accuracy); }

// "1h02m"
std::string ShortDurationText(double seconds) {
  std::string text = DurationText(seconds);
  std::erase(text, ' ');
  if (const size_t minutes = text.find("min"); minutes != std::string::npos) text.erase(minutes + 1, 2);
  return text;
}

std::string LeftText(const ProgressView& view, std::string_view bound, std::string (*duration)(double)) {
  if (view.seconds_left < 0) return "? left";
  return fmt::format("{}{} left", view.at_most ? bound : "", duration(view.seconds_left));
}

std::string TestText(const ProgressView& view) {
  return view.test_accuracy < 0 ? "untested" : AccuracyText(view.test_accuracy);
}

// A piece of the line; among those that do not fit the one with the highest `spare` goes first. Room is kept for the
// longest that it becomes, lest pieces come and go.
struct Piece {
  std::string text;
  std::string longest;
  int spare;

  size_t room() const { return std::max(text.size(), longest.size()); }
};

}  // namespace

std::string DurationText(double seconds) {
  const int64_t s = std::llround(std::max(0.0, seconds));
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} min {:02} s", s / 60, s % 60);
  if (s < 86'400) return fmt::format("{} h {:02} min", s / 3600, s / 60 % 60);
  return fmt::format("{} d {} h", s / 86'400, s / 3600 % 24);
}

std::string ProgressLine(const ProgressView& view, int width) {
  const auto phase = [&](int64_t number) { return fmt::format("phase {}/{}", number, view.phases); };
  const auto epoch = [](double epochs) { return fmt::format("{:.2f}ep", epochs); };
  const auto samples = [](int64_t examples) { return fmt::format("{}sp", WithThousands(examples)); };
  const auto updates = [](int64_t count) { return fmt::format("upd {}", WithThousands(count)); };
  const auto batch = [](int64_t examples) { return fmt::format("batch {}", WithThousands(examples)); };
  std::vector<Piece> pieces = {
      {Percent(view.done), "", 0},
      {Bar(view.done), "", 11},
      {phase(view.phase), phase(view.phases), 6},
      {epoch(view.epoch), epoch(view.epochs), 9},
      {samples(view.examples), samples(view.total_examples), 10},
      {updates(view.updates), updates(view.total_updates), 8},
      {batch(view.global_batch), batch(view.largest_batch), 2},
      {fmt::format("lr {:.4g}", view.learning_rate), "lr 0.0001234", 3},
      {LossText(view.loss), "loss 0.1234", 4},
      {fmt::format("{} img/s", RateText(view.examples_per_second)), "12,345 img/s", 7},
      {LeftText(view, "<", ShortDurationText), "<12h34m left", 1},
      {TestText(view), "test 100.00%", 5},
  };
  constexpr size_t kBetween = 2;
  while (true) {
    size_t room = 0;
    std::string line;
    for (const Piece& piece : pieces) {
      room += (line.empty() ? 0 : kBetween) + piece.room();
      line += (line.empty() ? "" : std::string(kBetween, ' ')) + piece.text;
    }
    if (static_cast<int>(room) <= width) return line;
    if (pieces.size() == 1) return line.substr(0, static_cast<size_t>(std::max(0, width)));
    pieces.erase(std::ranges::max_element(pieces, {}, &Piece::spare));
  }
}

std::string PlainProgressLine(const ProgressView& view) {
  return fmt::format(
      "{}  phase {}/{}  epoch {:.2f}/{:.4g}  {} examples  update {}/{}  batch {}  lr {:.4g}  {}  {} images/s  {}  {}",
      Percent(view.done), view.phase, view.phases, view.epoch, view.epochs, WithThousands(view.examples),
      WithThousands(view.updates), WithThousands(view.total_updates), WithThousands(view.global_batch),
      view.learning_rate, LossText(view.loss), RateText(view.examples_per_second),
      LeftText(view, "at most ", DurationText), TestText(view));
}

std::string PlainEvaluationLine(const ProgressView& view) {
  return fmt::format("{}  update {}/{}  {}", Percent(view.done), WithThousands(view.updates),
                     WithThousands(view.total_updates), TestText(view));
}

Progress::Progress(const schedule::Plan& plan, int fd, Clock clock)
    : plan_(plan), fd_(fd), terminal_(isatty(fd) == 1), clock_(clock ? std::move(clock) : SteadySeconds) {
  busy_since_ = clock_();
  view_.phases = static_cast<int64_t>(plan.phases().size());
  view_.epochs = Ratio(plan.total_examples(), plan.train_examples());
  view_.total_examples = plan.total_examples().value();
  view_.total_updates = plan.total_updates().value();
  for (const schedule::Phase& phase : plan.phases()) {
    view_.largest_batch = std::max(view_.largest_batch, phase.global_batch.value());
  }
}

void Progress::Header(const RunHeader& header) {
  const std::string workers = header.workers == 1 ? "" : fmt::format("{} workers, each on ", header.workers);
  const std::string micro_batches =
      header.micro_batch == 0 ? "" : fmt::format(", in micro-batches of {}", WithThousands(header.micro_batch));
  Write(fmt::format("training {} parameters on {}{} for {:.6g} epochs, {} updates{}\n",
                    WithThousands(header.parameters), workers, header.device, view_.epochs,
                    WithThousands(view_.total_updates), micro_batches));
  if (!header.branched_from.empty()) Note("branched from " + header.branched_from);
}

void Progress::Resume(const ResumeRecord& record) {
  examples_ = record.examples;
  updates_ = record.updates;
  train_seconds_ = record.train_seconds;
  busy_since_ = clock_();
  if (record.evaluation.updates > schedule::Updates{0}) view_.test_accuracy = record.evaluation.accuracy;
  Note(fmt::format("resumed after {} of {} updates, {} examples", WithThousands(updates_.value()),
                   WithThousands(view_.total_updates), WithThousands(examples_.value())));
}

void Progress::Note(const std::string& sentence) {
  if (line_open_) Write("\n");
  line_open_ = false;
  Write(sentence + "\n");
}

void Progress::Update(const UpdateRecord& record) {
  const schedule::Setting& setting = record.setting;
  const schedule::Updates done = setting.update + schedule::Updates{1};
  if (warm_) estimate_.Measured(setting.end - examples_, done - updates_, record.seconds - train_seconds_);
  warm_ = true;
  examples_ = setting.end;
  updates_ = done;
  train_seconds_ = record.seconds;

  const bool phase_changed = static_cast<int64_t>(setting.phase) + 1 != view_.phase;
  MoveTo(setting, record.epoch);
  view_.loss = record.loss;
  view_.examples_per_second = record.examples_per_second;
  EstimateTimeLeft();
  busy_since_ = clock_();
  ShowLine(phase_changed && !terminal_ && view_.phases <= kMostPhasesAnnounced);
}

// It comes at an update that need not have been recorded.
void Progress::Evaluation(const EvaluationRecord& record) {
  const double now = clock_();
  evaluation_seconds_ += now - busy_since_;
  busy_since_ = now;
  view_.test_accuracy = record.accuracy;
  if (record.updates.value() > view_.updates) MoveTo(plan_.At(record.updates - schedule::Updates{1}), record.epoch);
  EstimateTimeLeft();
  if (!terminal_ && shown_updates_.value() == view_.updates) {
    Write(PlainEvaluationLine(view_) + "\n");
  } else {
    ShowLine(true);
  }
}

void Progress::MoveTo(const schedule::Setting& setting, double epoch) {
  view_.done = Ratio(setting.end, plan_.total_examples());
  view_.phase = static_cast<int64_t>(setting.phase) + 1;
  view_.epoch = epoch;
  view_.examples = setting.end.value();
  view_.updates = setting.update.value() + 1;
  view_.global_batch = setting.global_batch.value();
  view_.learning_rate = setting.learning_rate;
}

void Progress::Footer(const RunFooter& footer) {
  if (line_open_) Write("\n");
  line_open_ = false;
  std::string line(NameOf(footer.end));
  line += fmt::format(" after {} updates, {} examples, {}", WithThousands(footer.updates.value()),
                      WithThousands(footer.examples.value()), DurationText(footer.total_seconds));
  if (footer.final_evaluation.updates > schedule::Updates{0}) {
    line += fmt::format(": test accuracy {:.2f}%, test loss {:.4f}", 100 * footer.final_evaluation.accuracy,
                        footer.final_evaluation.loss);
    // A run that is stopped does not wait for an evaluation of what it saves.
    if (footer.final_evaluation.updates != footer.updates) {
      line += fmt::format(" at update {}", WithThousands(footer.final_evaluation.updates.value()));
    }
  }
  Write(line + "\n");
}

void Progress::EstimateTimeLeft() {
  if (estimate_.empty()) return;
  const schedule::Examples done{view_.examples};
  const schedule::Examples examples = plan_.total_examples() - done;
  const schedule::Updates updates = plan_.total_updates() - schedule::Updates{view_.updates};
  // Evaluations come at equal distances in examples.
  const double evaluations = evaluation_seconds_ * Ratio(examples, done);
  view_.seconds_left = estimate_.SecondsFor(examples, updates) + evaluations;
  view_.at_most = estimate_.IsBoundFor(examples, updates);
}

void Progress::ShowLine(bool now) {
  const double time = clock_();
  if (!now && time - shown_at_ < (terminal_ ? kTerminalInterval : kPlainInterval)) return;
  shown_at_ = time;
  shown_updates_ = schedule::Updates{view_.updates};
  if (terminal_) {
    // Not in the last column, where some terminals wrap; then clear what is behind it.
    const auto width = static_cast<int>(TerminalWidth(fd_).value_or(kWidthUnknown));
    Write(fmt::format("\r{}\x1b[K", ProgressLine(view_, width - 1)));
    line_open_ = true;
  } else {
    Write(PlainProgressLine(view_) + "\n");
  }
}

// A terminal that has gone away must not end a run: what cannot be shown is not shown.
void Progress::Write(const std::string& text) const {
  for (size_t done = 0; done < text.size();) {
    const ssize_t written = write(fd_, text.data() + done, text.size() - done);
    if (written <= 0) return;
    done += static_cast<size_t>(written);
  }
}

}  // namespace crescendo::report
