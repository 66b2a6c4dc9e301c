#include "host_collectives.h"

#include <algorithm>
#include <cstring>

#include "../core/error.h"

namespace nextpatch {
namespace {

enum Operation : int64_t { kReduceScatter, kAllGather, kAllReduce, kLeave };
constexpr const char* kNames[] = {"Ranks.reduceScatter", "Ranks.allGather", "Ranks.allReduce", "Ranks.leave"};

// Memory for what arrives of a sum, in elements: a longer one is made piece by piece.
constexpr int64_t kArrivals = int64_t(2) << 20;
// Elements that are summed at a time.
constexpr int64_t kBlock = 4096;

std::vector<int64_t> equal_starts(int64_t block, int size) {
  std::vector<int64_t> starts;
  for (int i = 0; i <= size; ++i) starts.push_back(i * block);
  return starts;
}

std::string call_text(int64_t operation, int64_t bytes) {
  if (operation == kLeave) return kNames[kLeave];
  if (operation < 0 || operation > kLeave) return "another operation";
  return std::string(kNames[operation]) + " of " + std::to_string(bytes) + " bytes";
}

}  // namespace

HostCollectives::HostCollectives(const Engine& engine) : engine_(engine) {
  if (const char* const problem = engine.start())
    throw Error(ErrorKind::device, std::string("Ranks.join: ") + engine.library() + ": " + problem);
  rank_ = engine.rank();
  size_ = engine.size();
}

void HostCollectives::exchange(const std::vector<Message>& messages, bool patient) {
  if (const char* const problem = engine_.exchange(messages.data(), messages.size(), patient)) {
    broken_ = "rank " + std::to_string(rank_) + " of " + std::to_string(size_) + " (" + engine_.host() +
              "): " + engine_.library() + ": " + problem;
    throw Error(ErrorKind::device, broken_);
  }
  ++advanced_;
}

void HostCollectives::agree(int64_t operation, int64_t bytes) {
  const std::string name = kNames[operation];
  if (!broken_.empty()) throw Error(ErrorKind::device, name + ": not possible after a failure: " + broken_);
  Header own{operation, bytes};
  std::vector<Header> headers{size_t(size_), own};
  std::vector<Message> messages;
  for (int step = 1; step < size_; ++step) {
    messages.push_back({before(step), true, &headers[size_t(before(step))], sizeof(Header)});
    messages.push_back({behind(step), false, &own, sizeof(Header)});
  }
  exchange(messages, true);
  for (int i = 0; i < size_; ++i) {
    const Header& other = headers[size_t(i)];
    if (other.operation == operation && other.bytes == bytes) continue;
    if (operation == kLeave || other.operation == kLeave) {
      const bool own = operation == kLeave;
      const Header& going = own ? other : Header{operation, bytes};
      throw Error(ErrorKind::device, name + ": rank " + std::to_string(own ? rank_ : i) + " ends, or has called " +
                                         kNames[kLeave] + ", but rank " + std::to_string(own ? i : rank_) +
                                         " goes on with " + call_text(going.operation, going.bytes) +
                                         ": expected all ranks to end, and to leave their loops, after the same step");
    }
    throw Error(ErrorKind::device, name + ": expected the same call on all ranks but received " +
                                       call_text(operation, bytes) + " on rank " + std::to_string(rank_) + " and " +
                                       call_text(other.operation, other.bytes) + " on rank " + std::to_string(i));
  }
}

void HostCollectives::sum_parts(float* sum, const float* values, const std::vector<int64_t>& starts) {
  const auto length = [&](int i) { return starts[size_t(i) + 1] - starts[size_t(i)]; };
  const float* const own = values + starts[size_t(rank_)];
  int64_t longest = 0;
  for (int i = 0; i < size_; ++i) longest = std::max(longest, length(i));
  const int64_t piece = std::min(longest, std::max<int64_t>(kBlock, kArrivals / size_));
  arrived_.resize(size_t(piece * (size_ - 1)));
  std::vector<const float*> parts(size_t(size_), nullptr);  // by rank, at the piece's begin
  for (int64_t at = 0; at < longest; at += piece) {
    const auto here = [&](int i) { return std::clamp<int64_t>(length(i) - at, 0, piece); };
    const int64_t count = here(rank_);
    std::vector<Message> messages;
    for (int step = 1; step < size_; ++step) {
      const int from = before(step), to = behind(step);
      float* const arrival = arrived_.data() + (step - 1) * piece;
      parts[size_t(from)] = arrival;
      if (count > 0) messages.push_back({from, true, arrival, size_t(count) * sizeof(float)});
      if (here(to) == 0) continue;
      // Only read: the message is one that is sent.
      float* const part = const_cast<float*>(values + starts[size_t(to)] + at);
      messages.push_back({to, false, part, size_t(here(to)) * sizeof(float)});
      sent_ += uint64_t(here(to)) * sizeof(float);
    }
    exchange(messages, false);
    parts[size_t(rank_)] = own + at;
    // Summed beside the parts, one of which may be in the sum's place.
#pragma omp parallel for schedule(static) if (count > 8 * kBlock)
    for (int64_t begin = 0; begin < count; begin += kBlock) {
      float total[kBlock];
      const int64_t length = std::min(kBlock, count - begin);
      std::memcpy(total, parts[0] + begin, size_t(length) * sizeof(float));
      for (int i = 1; i < size_; ++i) {
        const float* const part = parts[size_t(i)] + begin;
        for (int64_t j = 0; j < length; ++j) total[j] += part[j];
      }
      std::memcpy(sum + at + begin, total, size_t(length) * sizeof(float));
    }
  }
}

void HostCollectives::gather_parts(char* data, const std::vector<int64_t>& starts) {
  const auto part = [&](int i) { return data + starts[size_t(i)]; };
  const auto bytes = [&](int i) { return size_t(starts[size_t(i) + 1] - starts[size_t(i)]); };
  std::vector<Message> messages;
  for (int step = 1; step < size_; ++step) {
    const int from = before(step), to = behind(step);
    if (bytes(from) > 0) messages.push_back({from, true, part(from), bytes(from)});
    if (bytes(rank_) == 0) continue;
    messages.push_back({to, false, part(rank_), bytes(rank_)});
    sent_ += bytes(rank_);
  }
  exchange(messages, false);
}

void HostCollectives::reduce_scatter(const View& out, const View& in) {
  const Turn turn(*this);
  agree(kReduceScatter, in.size() * int64_t(sizeof(float)));
  sum_parts(out.as<float>(), in.as<float>(), equal_starts(out.size(), size_));
}

void HostCollectives::all_gather(const View& out, const View& in) {
  const Turn turn(*this);
  const int64_t block = in.size() * int64_t(size_of(in.dtype));
  agree(kAllGather, block * size_);
  char* const own = out.as<char>() + rank_ * block;
  if (own != in.data) std::memcpy(own, in.data, size_t(block));
  gather_parts(out.as<char>(), equal_starts(block, size_));
}

void HostCollectives::all_reduce(const View& values) {
  const Turn turn(*this);
  const int64_t n = values.size();
  agree(kAllReduce, n * int64_t(sizeof(float)));
  std::vector<int64_t> starts = equal_starts((n + size_ - 1) / size_, size_);
  for (int64_t& start : starts) start = std::min(start, n);
  float* const data = values.as<float>();
  sum_parts(data + starts[size_t(rank_)], data, starts);
  for (int64_t& start : starts) start *= int64_t(sizeof(float));
  gather_parts(values.as<char>(), starts);
}

void HostCollectives::leave() {
  if (size_ > 1) agree(kLeave, 0);
  broken_ = "this rank has left";
  if (const char* const problem = engine_.finish())
    throw Error(ErrorKind::device, std::string("Ranks.leave: ") + engine_.library() + ": " + problem);
}

}  // namespace nextpatch
