// All inline PTX: one small wrapper per instruction. Under simt each is a host function (native/simt/ptx.cpp) that does
// what the PTX ISA says, so that the kernels need not know.
// "Warp": every lane of a full warp calls it together.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace nextpatch::cuda {

#if NEXTPATCH_SIMT
#define NEXTPATCH_PTX
#else
#define NEXTPATCH_PTX __device__ __forceinline__
#endif

// ---- Tensor cores -------------------------------------------------------------------------------------

// Warp: d[16,8] f32 += a[16,16] b[16,8], bf16 pairs. Lane l holds, with g = l / 4 and t = 2 (l % 4):
//   a[0]: (g, t), (g, t+1)   a[1]: row g+8   a[2]: column +8   a[3]: row g+8, column +8
//   b[0]: (t, g), (t+1, g)   b[1]: row +8
//   d[0], d[1]: (g, t), (g, t+1)   d[2], d[3]: row g+8
NEXTPATCH_PTX void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);

// Warp: loads 4 matrices of 8 x 8 16-bit elements from shared memory. Lane 8i + j gives the address of row j of
// matrix i (16 bytes, 16-byte aligned). Register i of lane l receives elements (l/4, 2 (l%4)) and
// (l/4, 2 (l%4) + 1) of matrix i, the first in the low half; _trans: of its transpose.
NEXTPATCH_PTX void ldmatrix_x4(uint32_t (&r)[4], const void* row);
NEXTPATCH_PTX void ldmatrix_x4_trans(uint32_t (&r)[4], const void* row);

// ---- Asynchronous copies ------------------------------------------------------------------------------

// Starts copying 16 bytes (both sides 16-byte aligned) from global to shared memory, bypassing registers; if out of
// bounds, writes 16 zero bytes and does not read `global`. The data is visible to the copying thread after its
// cp_async_wait, to others after a barrier that follows it.
NEXTPATCH_PTX void cp_async_16(void* shared, const void* global, bool in_bounds = true);

// Closes the group of the copies started since the last one.
NEXTPATCH_PTX void cp_async_commit();

// Waits until at most `groups_left` of this thread's latest groups are incomplete.
template <int groups_left>
NEXTPATCH_PTX void cp_async_wait();

// ---- The rest -----------------------------------------------------------------------------------------

// Waits at barrier id (1 to 15; 0 is __syncthreads) for `threads` threads, a multiple of 32.
NEXTPATCH_PTX void named_barrier(int id, int threads);

// 2^x within 2 ulp, denormal results flushed to zero: one instruction where exp2f takes several.
NEXTPATCH_PTX float exp2_approx(float x);

#if NEXTPATCH_SIMT

void cp_async_wait_groups(int groups_left);
template <int groups_left>
void cp_async_wait() {
  cp_async_wait_groups(groups_left);
}

#else

NEXTPATCH_PTX uint32_t shared_address(const void* pointer) { return uint32_t(__cvta_generic_to_shared(pointer)); }

NEXTPATCH_PTX void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

NEXTPATCH_PTX void ldmatrix_x4(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

NEXTPATCH_PTX void ldmatrix_x4_trans(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

NEXTPATCH_PTX void cp_async_16(void* shared, const void* global, bool in_bounds) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)),
               "l"(__cvta_generic_to_global(global)), "r"(in_bounds ? 16 : 0)
               : "memory");
}

NEXTPATCH_PTX void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

NEXTPATCH_PTX void named_barrier(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

NEXTPATCH_PTX float exp2_approx(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

template <int groups_left>
NEXTPATCH_PTX void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(groups_left) : "memory");
}

#endif

#undef NEXTPATCH_PTX

}  // namespace nextpatch::cuda
