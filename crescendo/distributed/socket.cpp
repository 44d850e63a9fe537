#include "crescendo/distributed/socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <thread>

#include "crescendo/base/error.h"

namespace crescendo::distributed {
namespace {

using Addresses = std::unique_ptr<addrinfo, void (*)(addrinfo*)>;

Addresses Resolve(const std::string& host, int64_t port, int type) {
  addrinfo hints{};
  hints.ai_socktype = type;
  addrinfo* found = nullptr;
  const int status = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (status != 0) {
    throw UserError(fmt::format("the address \"{}\" of worker 0 cannot be found: {}", host, ::gai_strerror(status)));
  }
  return {found, &::freeaddrinfo};
}

Descriptor OpenSocket(const addrinfo& address) {
  Descriptor socket(::socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC, address.ai_protocol));
  if (!socket.open()) throw RunError(fmt::format("no socket: {}", std::strerror(errno)));
  return socket;
}

}  // namespace

Descriptor::~Descriptor() {
  if (open()) ::close(number_);
}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (open()) ::close(number_);
  number_ = other.Release();
  return *this;
}

int Descriptor::Release() {
  const int number = number_;
  number_ = -1;
  return number;
}

Descriptor ListenOn(const std::string& host, int64_t port) {
  const Addresses addresses = Resolve(host, port, SOCK_STREAM);
  Descriptor socket = OpenSocket(*addresses);
  const int yes = 1;
  ::setsockopt(socket.number(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  if (::bind(socket.number(), addresses->ai_addr, addresses->ai_addrlen) != 0) {
    if (errno == EADDRNOTAVAIL) {
      throw UserError(
          fmt::format("\"{}\" is not an address of this machine, where worker 0 runs; MASTER_ADDR must be one", host));
    }
    throw RunError(fmt::format("cannot listen on {} port {}: {}; another job may use it: MASTER_PORT chooses another",
                               host, port, std::strerror(errno)));
  }
  if (::listen(socket.number(), SOMAXCONN) != 0) {
    throw RunError(fmt::format("cannot listen on {} port {}: {}", host, port, std::strerror(errno)));
  }
  return socket;
}

int64_t PortOf(const Descriptor& listener) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  ::getsockname(listener.number(), reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<sockaddr_in&>(address).sin_port);
}

std::string OwnAddressToward(const std::string& host) {
  // Connecting a datagram socket sends nothing; it makes the system choose the way.
  const Addresses addresses = Resolve(host, 9, SOCK_DGRAM);
  const Descriptor socket = OpenSocket(*addresses);
  sockaddr_storage own{};
  socklen_t size = sizeof(own);
  std::array<char, NI_MAXHOST> text{};
  if (::connect(socket.number(), addresses->ai_addr, addresses->ai_addrlen) != 0 ||
      ::getsockname(socket.number(), reinterpret_cast<sockaddr*>(&own), &size) != 0) {
    throw RunError(fmt::format("no way to \"{}\", where worker 0 runs: {}", host, std::strerror(errno)));
  }
  ::getnameinfo(reinterpret_cast<sockaddr*>(&own), size, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST);
  return text.data();
}

Descriptor ConnectTo(const std::string& host, int64_t port, std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  const Addresses addresses = Resolve(host, port, SOCK_STREAM);
  while (true) {
    Descriptor socket = OpenSocket(*addresses);
    ::fcntl(socket.number(), F_SETFL, O_NONBLOCK);
    int error = 0;
    if (::connect(socket.number(), addresses->ai_addr, addresses->ai_addrlen) != 0) error = errno;
    if (error == EINPROGRESS) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      pollfd waiting{socket.number(), POLLOUT, 0};
      ::poll(&waiting, 1, static_cast<int>(std::max<int64_t>(left.count(), 1)));
      socklen_t size = sizeof(error);
      ::getsockopt(socket.number(), SOL_SOCKET, SO_ERROR, &error, &size);
      if (error == 0 && waiting.revents == 0) error = ETIMEDOUT;
    }
    if (error == 0) {
      const int yes = 1;
      ::setsockopt(socket.number(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
      return socket;
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      throw RunError(fmt::format("worker 0 does not answer at {} port {}: {}", host, port, std::strerror(error)));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

void LineConnection::Send(const std::string& line) {
  const std::string bytes = line + '\n';
  (void)::send(socket_.number(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

std::vector<std::string> LineConnection::Receive(bool& closed) {
  constexpr size_t kLongestLine = 4096;
  std::array<char, kLongestLine> buffer{};
  const ssize_t count = ::recv(socket_.number(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  const bool nothing_yet = count < 0 && (errno == EAGAIN || errno == EINTR);
  if (count <= 0 && !nothing_yet) closed = true;
  if (count > 0) unfinished_.append(buffer.data(), static_cast<size_t>(count));
  std::vector<std::string> lines;
  size_t begin = 0;
  for (size_t end = 0; (end = unfinished_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    lines.push_back(unfinished_.substr(begin, end - begin));
  }
  unfinished_.erase(0, begin);
  if (unfinished_.size() > kLongestLine) closed = true;
  return lines;
}

}  // namespace crescendo::distributed
