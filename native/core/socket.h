// TCP sockets of Linux, for what ranks tell one another beside tensors. None of them blocks: who waits does so by poll,
// up to a deadline. All throw an Error of kind device, whose message is the reason alone.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace nextpatch {

using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;

Deadline deadline_in(double seconds);
// Until then, rounded up, at least 0: as poll takes it.
int milliseconds_to(Deadline deadline);

// Owns a file descriptor.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() { close(); }
  Socket(Socket&& other) noexcept : fd_(other.release()) {}
  Socket& operator=(Socket&& other) noexcept;

  int fd() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void close();

 private:
  int release();
  int fd_ = -1;
};

// On all addresses of the machine; port 0: any free one.
Socket listen_at(int port);
int port_of(const Socket& listener);
// An empty one: nobody is there.
Socket accept_from(const Socket& listener);
// Tries the address's numbers one after the other.
Socket connect_to(const std::string& address, int port, Deadline deadline);

void send_all(const Socket& socket, const void* data, size_t bytes, Deadline deadline);
void receive_all(const Socket& socket, void* data, size_t bytes, Deadline deadline);

// What can be taken now: -1: nothing, 0: the other side has closed or lost the connection.
long receive_some(const Socket& socket, void* data, size_t bytes);
long send_some(const Socket& socket, const void* data, size_t bytes);

// Whether the other side has closed it, or it is lost, and all that came was taken.
bool is_closed(const Socket& socket);

// This machine's, as text, that others may reach: none of loopback, none that holds on one link only.
std::vector<std::string> own_addresses();

}  // namespace nextpatch
