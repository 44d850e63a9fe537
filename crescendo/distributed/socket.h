// TCP sockets, as much of them as the workers' watch over each other needs.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace crescendo::distributed {

// A file descriptor that is closed with its owner.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor();
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor(Descriptor&& other) noexcept : number_(other.Release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;

  int number() const { return number_; }
  bool open() const { return number_ >= 0; }
  int Release();

 private:
  int number_ = -1;
};

// Listens on one address and no other. `host`: a name or number of this machine; port 0: any free one. UserError where
// the host is not this machine or unknown; RunError where the port is taken.
Descriptor ListenOn(const std::string& host, int64_t port);
int64_t PortOf(const Descriptor& listener);

// The address, as a number, by which this machine talks to `host`: its own where the host is this machine, so that a
// worker listens on the network that leads to worker 0 and on no other. UserError where the host is unknown.
std::string OwnAddressToward(const std::string& host);

// RunError where nothing answers within the time.
Descriptor ConnectTo(const std::string& host, int64_t port, std::chrono::milliseconds timeout);

// Lines of text over a socket; neither direction ever waits.
class LineConnection {
 public:
  explicit LineConnection(Descriptor socket) : socket_(std::move(socket)) {}

  int descriptor() const { return socket_.number(); }

  // What does not fit into the socket's buffer is dropped: then the other side has not read for long, and is lost
  // anyway.
  void Send(const std::string& line);

  // The whole lines that have arrived, or some of them: call it again when poll says so. Sets `closed` once the other
  // side is gone, or sends what no worker sends (4 KiB without an end of line).
  std::vector<std::string> Receive(bool& closed);

 private:
  Descriptor socket_;
  std::string unfinished_;
};

}  // namespace crescendo::distributed
