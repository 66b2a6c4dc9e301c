#include "socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>
#include <utility>

#include "error.h"

namespace nextpatch {
namespace {

// For one number of an address, as a firewall that drops packets answers nothing.
constexpr double kConnectSeconds = 3;

[[noreturn]] void fail(const std::string& reason) { throw Error(ErrorKind::device, reason); }
[[noreturn]] void fail_with(int error) { fail(std::strerror(error)); }

void wait_until(const Socket& socket, short what, Deadline deadline) {
  for (;;) {
    pollfd waited{socket.fd(), what, 0};
    const int ready = poll(&waited, 1, milliseconds_to(deadline));
    if (ready > 0) return;
    if (ready < 0 && errno != EINTR) fail_with(errno);
    if (ready == 0 && Clock::now() >= deadline) fail("no answer");
  }
}

void set_options(const Socket& socket) {
  const int on = 1;
  setsockopt(socket.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Socket listen_by(int family, int port) {
  Socket socket(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) fail_with(errno);
  const int on = 1, off = 0;
  setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_storage address{};
  if (family == AF_INET6) {
    setsockopt(socket.fd(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    auto& six = reinterpret_cast<sockaddr_in6&>(address);
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(uint16_t(port));
  } else {
    auto& four = reinterpret_cast<sockaddr_in&>(address);
    four.sin_family = AF_INET;
    four.sin_port = htons(uint16_t(port));
  }
  const socklen_t length = family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  if (bind(socket.fd(), reinterpret_cast<sockaddr*>(&address), length) != 0) fail_with(errno);
  if (listen(socket.fd(), SOMAXCONN) != 0) fail_with(errno);
  return socket;
}

Socket connect_by(const addrinfo& number, Deadline deadline) {
  Socket socket(::socket(number.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) fail_with(errno);
  if (connect(socket.fd(), number.ai_addr, number.ai_addrlen) != 0) {
    if (errno != EINPROGRESS) fail_with(errno);
    wait_until(socket, POLLOUT, std::min(deadline, deadline_in(kConnectSeconds)));
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) fail_with(error);
  }
  set_options(socket);
  return socket;
}

}  // namespace

Deadline deadline_in(double seconds) {
  // A clock that counts nanoseconds ends after 292 years.
  return Clock::now() +
         std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(std::min(seconds, 1e9)));
}

int milliseconds_to(Deadline deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return int(std::clamp<int64_t>(left + 1, 0, INT_MAX));
}

Socket& Socket::operator=(Socket&& other) noexcept {
  close();
  fd_ = other.release();
  return *this;
}

void Socket::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

int Socket::release() { return std::exchange(fd_, -1); }

Socket listen_at(int port) {
  try {
    return listen_by(AF_INET6, port);
  } catch (const Error&) {
    return listen_by(AF_INET, port);  // a machine without IPv6, or the same reason again
  }
}

int port_of(const Socket& listener) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (getsockname(listener.fd(), reinterpret_cast<sockaddr*>(&address), &length) != 0) fail_with(errno);
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<sockaddr_in&>(address).sin_port);
}

Socket accept_from(const Socket& listener) {
  Socket socket(accept4(listener.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (socket) set_options(socket);
  return socket;
}

Socket connect_to(const std::string& address, int port, Deadline deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found))
    fail(gai_strerror(error));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, freeaddrinfo);
  for (const addrinfo* number = found;; number = number->ai_next) {
    try {
      return connect_by(*number, deadline);
    } catch (const Error&) {
      if (number->ai_next == nullptr) throw;
    }
  }
}

void send_all(const Socket& socket, const void* data, size_t bytes, Deadline deadline) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const long sent = send_some(socket, at, bytes);
    if (sent == 0) fail("the connection was closed");
    if (sent < 0) {
      wait_until(socket, POLLOUT, deadline);
      continue;
    }
    at += sent;
    bytes -= size_t(sent);
  }
}

void receive_all(const Socket& socket, void* data, size_t bytes, Deadline deadline) {
  char* at = static_cast<char*>(data);
  while (bytes > 0) {
    const long received = receive_some(socket, at, bytes);
    if (received == 0) fail("the connection was closed");
    if (received < 0) {
      wait_until(socket, POLLIN, deadline);
      continue;
    }
    at += received;
    bytes -= size_t(received);
  }
}

long receive_some(const Socket& socket, void* data, size_t bytes) {
  const ssize_t received = recv(socket.fd(), data, bytes, 0);
  if (received >= 0) return received;
  return errno == EAGAIN || errno == EINTR ? -1 : 0;
}

long send_some(const Socket& socket, const void* data, size_t bytes) {
  const ssize_t sent = send(socket.fd(), data, bytes, MSG_NOSIGNAL);
  if (sent > 0) return sent;
  return sent < 0 && (errno == EAGAIN || errno == EINTR) ? -1 : 0;
}

bool is_closed(const Socket& socket) {
  char byte;
  const ssize_t received = recv(socket.fd(), &byte, 1, MSG_PEEK);
  return received == 0 || (received < 0 && errno != EAGAIN && errno != EINTR);
}

std::vector<std::string> own_addresses() {
  ifaddrs* found = nullptr;
  if (getifaddrs(&found) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owned(found, freeifaddrs);
  std::vector<std::string> addresses;
  for (const ifaddrs* each = found; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr || !(each->ifa_flags & IFF_UP) || (each->ifa_flags & IFF_LOOPBACK)) continue;
    char text[INET6_ADDRSTRLEN] = "";
    const void* number = nullptr;
    if (each->ifa_addr->sa_family == AF_INET) {
      number = &reinterpret_cast<const sockaddr_in*>(each->ifa_addr)->sin_addr;
    } else if (each->ifa_addr->sa_family == AF_INET6) {
      const auto& six = reinterpret_cast<const sockaddr_in6*>(each->ifa_addr)->sin6_addr;
      if (!IN6_IS_ADDR_LINKLOCAL(&six)) number = &six;
    }
    if (number && inet_ntop(each->ifa_addr->sa_family, number, text, sizeof text)) addresses.push_back(text);
  }
  return addresses;
}

}  // namespace nextpatch
