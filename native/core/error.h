// The errors that native code reports; the binding turns each kind into its JavaScript class.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace nextpatch {

enum class ErrorKind { type, range, out_of_memory, device };

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind(kind) {}

  static Error out_of_memory(const std::string& message, int64_t requested_bytes, int64_t free_bytes) {
    Error error(ErrorKind::out_of_memory, message);
    error.requested_bytes = requested_bytes;
    error.free_bytes = free_bytes;
    return error;
  }

  ErrorKind kind;
  bool device_lost = false;     // the device can do nothing more in this process; its kind is device
  int64_t requested_bytes = 0;  // out_of_memory only
  int64_t free_bytes = 0;       // out_of_memory only
};

}  // namespace nextpatch
