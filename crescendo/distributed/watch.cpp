#include "crescendo/distributed/watch.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <exception>

#include "crescendo/base/error.h"

namespace crescendo::distributed {
namespace {

using std::chrono::milliseconds;

// "word rest of the line"
std::pair<std::string, std::string> Split(const std::string& line) {
  const size_t space = line.find(' ');
  if (space == std::string::npos) return {line, ""};
  return {line.substr(0, space), line.substr(space + 1)};
}

int64_t NumberOr(const std::string& text, int64_t otherwise) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? value : otherwise;
}

std::string ProcessAndHost() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  return fmt::format("process {} on {}", ::getpid(), host.data());
}

std::string NameOf(int64_t rank, const std::string& process) { return fmt::format("worker {} ({})", rank, process); }

std::string Seconds(milliseconds time) { return fmt::format("{:g} s", std::chrono::duration<double>(time).count()); }

std::string OneLine(std::string text) {
  constexpr size_t kLongest = 2000;
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text.substr(0, kLongest);
}

}  // namespace

Watch::Watch(int64_t rank, int64_t size, Descriptor socket, milliseconds timeout, milliseconds join_timeout)
    : rank_(rank),
      size_(size),
      timeout_(timeout),
      join_timeout_(join_timeout),
      meeting_(size),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (rank == 0) {
    listener_ = std::move(socket);
    complete_ = size == 1;
  } else {
    Peer judge{.connection = LineConnection(std::move(socket)), .name = "worker 0", .heard = created_};
    judge.connection.Send(fmt::format("hello {} {}", rank, ProcessAndHost()));
    peers_.emplace(0, std::move(judge));
  }
  // Signals are for the thread that trains.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { Work(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);

  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return complete_ || !verdict_.empty(); });
  if (verdict_.empty()) return;
  stopping_ = true;
  lock.unlock();
  ::eventfd_write(wake_.number(), 1);
  thread_.join();
  throw RunError(verdict_);
}

Watch::~Watch() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    // An error that nobody told the others about: by Abandon it would have had words.
    const bool in_good_order = std::uncaught_exceptions() == 0;
    for (auto& [rank, peer] : peers_) {
      if (all_well_ && in_good_order) peer.connection.Send("bye");
      ::shutdown(peer.connection.descriptor(), SHUT_WR);
    }
  }
  ::eventfd_write(wake_.number(), 1);
  thread_.join();
}

std::string Watch::verdict() const {
  const std::lock_guard lock(mutex_);
  return verdict_;
}

std::string Watch::WaitForVerdict(milliseconds time) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, time, [this] { return !verdict_.empty(); });
  return verdict_;
}

void Watch::Form(int64_t size) {
  // No group has so many meetings, and there are not so many workers, that the product is a number of another group.
  constexpr int64_t kMostMeetings = int64_t{1} << 40;
  const std::lock_guard lock(mutex_);
  meeting_ = size;
  meetings_ = size * kMostMeetings;
  if (rank_ != 0) return;
  for (auto& [rank, peer] : peers_) {
    if (!peer.closed) peer.connection.Send(fmt::format("group {}", size));
  }
}

std::optional<int64_t> Watch::WaitForCall(const std::atomic<int>& stop) {
  constexpr milliseconds kLookForSignal{100};
  bool told = false;
  std::unique_lock lock(mutex_);
  while (called_ <= rank_) {
    const Peer& judge = peers_.at(0);
    if (!verdict_.empty() || judge.left) return std::nullopt;
    if (stop != 0 && !told) {
      peers_.at(0).connection.Send(fmt::format("stop {}", stop.load()));
      told = true;
    }
    changed_.wait_for(lock, kLookForSignal);
  }
  return called_;
}

void Watch::ReportLate() {
  const std::lock_guard lock(mutex_);
  if (rank_ == 0) {
    JudgeLate();
  } else {
    peers_.at(0).connection.Send("late");
  }
}

void Watch::Abandon(const std::string& reason) {
  const std::lock_guard lock(mutex_);
  if (!verdict_.empty()) return;
  if (rank_ == 0) {
    Decide(fmt::format("{} failed: {}", NameOfThis(), OneLine(reason)));
  } else {
    peers_.at(0).connection.Send("failed " + OneLine(reason));
    all_well_ = false;  // so that no "bye" follows
  }
}

void Watch::Work() {
  while (true) {
    const std::vector<int> readable = WaitForInput();
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    const auto has_input = [&](int descriptor) { return std::ranges::find(readable, descriptor) != readable.end(); };
    // What has arrived is read before anybody is judged to be silent: this process may have been stopped itself.
    for (auto& [rank, peer] : peers_) {
      if (!peer.closed && has_input(peer.connection.descriptor())) Read(rank, peer);
    }
    for (size_t i = newcomers_.size(); i-- > 0;) {
      if (has_input(newcomers_[i].descriptor())) ReadNewcomer(i);
    }
    if (listener_.open() && has_input(listener_.number())) Accept();
    BeatIfDue();
    Check();
  }
}

std::vector<int> Watch::WaitForInput() {
  std::vector<pollfd> waiting{{wake_.number(), POLLIN, 0}};
  {
    const std::lock_guard lock(mutex_);
    if (listener_.open()) waiting.push_back({listener_.number(), POLLIN, 0});
    for (const LineConnection& newcomer : newcomers_) waiting.push_back({newcomer.descriptor(), POLLIN, 0});
    for (const auto& [rank, peer] : peers_) {
      if (!peer.closed) waiting.push_back({peer.connection.descriptor(), POLLIN, 0});
    }
  }
  ::poll(waiting.data(), waiting.size(), static_cast<int>(std::clamp<int64_t>(timeout_.count() / 20, 10, 500)));
  std::vector<int> readable;
  for (const pollfd& entry : waiting) {
    if (entry.revents != 0) readable.push_back(entry.fd);
  }
  return readable;
}

void Watch::Accept() {
  Descriptor socket(::accept4(listener_.number(), nullptr, nullptr, SOCK_CLOEXEC));
  // Whoever else connects to the port is not let in in numbers.
  if (socket.open() && newcomers_.size() < static_cast<size_t>(size_) + 16) newcomers_.emplace_back(std::move(socket));
}

void Watch::ReadNewcomer(size_t index) {
  bool closed = false;
  const std::vector<std::string> lines = newcomers_[index].Receive(closed);
  if (lines.empty() && !closed) return;
  LineConnection connection = std::move(newcomers_[index]);
  newcomers_.erase(newcomers_.begin() + static_cast<std::ptrdiff_t>(index));
  if (lines.empty()) return;
  const auto [word, rest] = Split(lines.front());
  const auto [number, process] = Split(rest);
  const int64_t rank = NumberOr(number, -1);
  if (word != "hello" || rank < 1 || rank >= size_) return;  // not one of us
  Peer peer{
      .connection = std::move(connection), .name = NameOf(rank, process), .heard = Clock::now(), .closed = closed};
  if (peers_.contains(rank)) {
    Decide(fmt::format("two processes say that they are worker {}: {} and {}", rank, peers_.at(rank).name, peer.name));
    return;
  }
  const auto added = peers_.emplace(rank, std::move(peer)).first;
  for (size_t i = 1; i < lines.size(); ++i) Obey(rank, added->second, lines[i]);
  if (static_cast<int64_t>(peers_.size()) != size_ - 1) return;
  for (auto& [other, connected] : peers_) connected.connection.Send("welcome " + ProcessAndHost());
  listener_ = Descriptor();
  newcomers_.clear();
  complete_ = true;
  changed_.notify_all();
}

void Watch::Read(int64_t rank, Peer& peer) {
  for (const std::string& line : peer.connection.Receive(peer.closed)) Obey(rank, peer, line);
  if (peer.closed && !peer.left) Decide(peer.name + " is gone: its connection was closed");
}

// The lines: "hello RANK PROCESS" once, from a worker to worker 0; "welcome PROCESS" once, back; "alive MEETINGS" and
// "bye", both ways; "late", "stop SIGNAL" and "failed REASON" to worker 0; "group SIZE" and "lost SENTENCE" from worker
// 0.
void Watch::Obey(int64_t rank, Peer& peer, const std::string& line) {
  const auto [word, rest] = Split(line);
  peer.heard = Clock::now();
  if (word == "alive") peer.meetings = NumberOr(rest, peer.meetings);
  if (word == "bye") {
    peer.left = true;
    changed_.notify_all();
  }
  if (rank_ == 0 && word == "late") JudgeLate();
  if (rank_ == 0 && word == "failed") Decide(fmt::format("{} failed: {}", peer.name, rest));
  if (rank_ == 0 && word == "stop") stop_signal_ = static_cast<int>(NumberOr(rest, 0));
  if (rank == 0 && word == "lost") Decide(rest);
  if (rank == 0 && word == "group") {
    called_ = NumberOr(rest, called_);
    changed_.notify_all();
  }
  if (rank == 0 && word == "welcome") {
    peer.name = NameOf(0, rest);
    complete_ = true;
    changed_.notify_all();
  }
}

void Watch::BeatIfDue() {
  const milliseconds interval = std::clamp(timeout_ / 10, milliseconds(20), milliseconds(1000));
  if (Clock::now() - last_beat_ < interval) return;
  last_beat_ = Clock::now();
  for (auto& [rank, peer] : peers_) {
    if (!peer.closed) peer.connection.Send(fmt::format("alive {}", meetings_.load()));
  }
}

void Watch::Check() {
  if (!verdict_.empty()) return;
  if (rank_ == 0 && !complete_ && Clock::now() - created_ > join_timeout_) {
    Decide(fmt::format("of {} workers, {} did not come within {}", size_, Missing(), Seconds(join_timeout_)));
  }
  for (const auto& [rank, peer] : peers_) {
    if (peer.left || peer.closed || Clock::now() - peer.heard <= timeout_) continue;
    Decide(Silent(peer));
    return;
  }
}

std::string Watch::Silent(const Peer& peer) const {
  return fmt::format("{} has not been heard from for {}: it hangs, or the network to it is cut", peer.name,
                     Seconds(timeout_));
}

void Watch::JudgeLate() {
  int64_t fewest = meetings_;
  int64_t most = fewest;
  const Peer* latest = nullptr;  // this worker
  for (const auto& [rank, peer] : peers_) {
    if (rank >= meeting_) continue;  // waits, but not in a meeting
    most = std::max(most, peer.meetings);
    if (peer.meetings >= fewest) continue;
    fewest = peer.meetings;
    latest = &peer;
  }
  if (fewest == most) {
    Decide(
        fmt::format("the workers have waited for each other for {}, although all of them are there: the network "
                    "between some of them may be cut",
                    Seconds(timeout_)));
  } else if (latest != nullptr && Clock::now() - latest->heard > timeout_ / 2) {
    Decide(Silent(*latest));  // its silence would be noticed in a moment: it does not live
  } else {
    Decide(fmt::format("{} lives, but the others have waited for it for {}",
                       latest != nullptr ? latest->name : NameOfThis(), Seconds(timeout_)));
  }
}

void Watch::Decide(const std::string& sentence) {
  if (!verdict_.empty()) return;
  verdict_ = sentence;
  all_well_ = false;
  if (rank_ == 0) {
    for (auto& [rank, peer] : peers_) {
      if (!peer.closed) peer.connection.Send("lost " + sentence);
    }
  }
  changed_.notify_all();
}

std::string Watch::NameOfThis() const { return NameOf(rank_, ProcessAndHost()); }

std::string Watch::Missing() const {
  std::vector<int64_t> missing;
  for (int64_t rank = 1; rank < size_; ++rank) {
    if (!peers_.contains(rank)) missing.push_back(rank);
  }
  return fmt::format("{} {}", missing.size() == 1 ? "worker" : "workers", fmt::join(missing, ", "));
}

}  // namespace crescendo::distributed
