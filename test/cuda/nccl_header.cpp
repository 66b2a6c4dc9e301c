// Compiled, and not run: native/cuda/nccl.h declares what NCCL's own header does.
#include <nccl.h>

#include <type_traits>

#include "../../native/cuda/nccl.h"

using namespace nextpatch::cuda;

// Passed alike: numbers and enumerations of one size, pointers, the same kind of value.
template <typename Ours, typename Theirs>
constexpr bool alike() {
  if constexpr (std::is_pointer_v<Ours> && std::is_pointer_v<Theirs>) {
    using To = std::remove_pointer_t<Ours>;
    using Other = std::remove_pointer_t<Theirs>;
    if constexpr (std::is_class_v<To> || std::is_void_v<To> || std::is_pointer_v<To>) {
      return std::is_const_v<To> == std::is_const_v<Other> &&
             (std::is_void_v<To> == std::is_void_v<Other>) && (std::is_pointer_v<To> == std::is_pointer_v<Other>);
    } else {
      return sizeof(To) == sizeof(Other) && std::is_const_v<To> == std::is_const_v<Other>;
    }
  } else if constexpr (std::is_enum_v<Ours>) {
    return std::is_enum_v<Theirs> && sizeof(Ours) == sizeof(Theirs);
  } else if constexpr (std::is_class_v<Ours>) {
    return std::is_class_v<Theirs> && sizeof(Ours) == sizeof(Theirs) && alignof(Ours) == alignof(Theirs) &&
           std::is_trivially_copyable_v<Ours> && std::is_trivially_copyable_v<Theirs>;
  } else {
    return std::is_same_v<Ours, Theirs>;
  }
}

template <typename Ours, typename Theirs>
struct Agree : std::false_type {};
template <typename R, typename... A, typename Q, typename... B>
struct Agree<R (*)(A...), Q (*)(B...)> {
  static constexpr bool of() {
    if constexpr (sizeof...(A) == sizeof...(B)) {
      return alike<R, Q>() && (alike<A, B>() && ...);
    } else {
      return false;
    }
  }
  static constexpr bool value = of();
};

#define AGREE(name) static_assert(Agree<decltype(Nccl::name), decltype(&nccl##name)>::value, #name)
AGREE(GetVersion);
AGREE(GetUniqueId);
AGREE(CommInitRank);
AGREE(CommDestroy);
AGREE(CommAbort);
AGREE(CommGetAsyncError);
AGREE(GetErrorString);
AGREE(GetLastError);
AGREE(ReduceScatter);
AGREE(AllGather);
AGREE(AllReduce);

static_assert(int(nc::kSuccess) == int(ncclSuccess) && int(nc::kInProgress) == int(ncclInProgress));
static_assert(int(nc::kInt8) == int(ncclInt8) && int(nc::kFloat32) == int(ncclFloat32));
static_assert(int(nc::kSum) == int(ncclSum));
static_assert(sizeof(nc::UniqueId) == NCCL_UNIQUE_ID_BYTES);
static_assert(NCCL_VERSION_CODE >= NCCL_VERSION(2, 27, 0));
