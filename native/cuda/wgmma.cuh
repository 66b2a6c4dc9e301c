// Products of a warpgroup on the tensor cores of compute capability 9.0: wrappers of its PTX, as ptx.cuh has them for
// all. They exist in sm_90a code alone (NEXTPATCH_WGMMA); PTX for later chips does not have them. Under simt each is a
// host function (native/simt/wgmma.cpp).
//
// A warpgroup is four adjacent warps, the first a multiple of four; its 128 threads call everything here together. A
// product runs beside the threads: from wgmma_m64… until wgmma_wait, neither its registers nor its shared memory may be
// touched. PTX ISA, "Asynchronous Warpgroup Level Matrix Multiply-Accumulate Instructions".
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "ptx.cuh"

namespace nextpatch::cuda {

#if NEXTPATCH_SIMT || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define NEXTPATCH_WGMMA 1
#else
#define NEXTPATCH_WGMMA 0
#endif

#if NEXTPATCH_SIMT
#define NEXTPATCH_PTX
#else
#define NEXTPATCH_PTX __device__ __forceinline__
#endif

// Where a matrix lies in shared memory: panels of 64 columns, row-major, 128 bytes a row, whose 16-byte chunks are
// permuted (chunk c of row r is at c ^ r % 8), each panel aligned to 1024 bytes. It is what Tile<64> has.
struct MatrixDescriptor {
  uint64_t bits;
  // The same, further in shared memory; bytes a multiple of 16.
  __device__ __forceinline__ MatrixDescriptor operator+(int bytes) const { return {bits + uint64_t(bytes >> 4)}; }
};

// Of a panel. next_panel: bytes from a panel to the one of the next 64 columns, which only a product that sums over
// rows needs.
__device__ __forceinline__ MatrixDescriptor panel_descriptor(const void* panel, int next_panel);

// d[64, n] f32 = a b, plus d if `add`; a[64, 16], b[16, n], bf16. d's element i of tile t of lane l of warp w is row
// 16 w + l / 4 + 8 (i / 2), column 8 t + 2 (l % 4) + i % 2: what mma_m16n8k16_bf16 has for each warp's 16 rows.
// a: a descriptor of rows of 16 columns, or registers as mma_m16n8k16_bf16 has them for each warp's rows.
// b: a descriptor of n rows of 16 columns, b transposed; _by_rows: of 16 rows of n columns.
NEXTPATCH_PTX void wgmma_m64n64k16_bf16(float (&d)[8][4], MatrixDescriptor a, MatrixDescriptor b, bool add);
NEXTPATCH_PTX void wgmma_m64n64k16_bf16(float (&d)[8][4], const uint32_t (&a)[4], MatrixDescriptor b, bool add);
NEXTPATCH_PTX void wgmma_m64n64k16_bf16_by_rows(float (&d)[8][4], const uint32_t (&a)[4], MatrixDescriptor b, bool add);
NEXTPATCH_PTX void wgmma_m64n128k16_bf16(float (&d)[16][4], MatrixDescriptor a, MatrixDescriptor b, bool add);
NEXTPATCH_PTX void wgmma_m64n128k16_bf16(float (&d)[16][4], const uint32_t (&a)[4], MatrixDescriptor b, bool add);
NEXTPATCH_PTX void wgmma_m64n128k16_bf16_by_rows(float (&d)[16][4], const uint32_t (&a)[4], MatrixDescriptor b,
                                                 bool add);

// Before the first product, and after registers of one that begins were written: they are then in place.
NEXTPATCH_PTX void wgmma_fence();
// Closes the group of the products started since the last one.
NEXTPATCH_PTX void wgmma_commit();
// Waits until at most `groups_left` of the latest groups are incomplete.
template <int groups_left>
NEXTPATCH_PTX void wgmma_wait();

// What this thread wrote to shared memory becomes visible to products that begin after the next barrier.
NEXTPATCH_PTX void fence_shared_for_wgmma();

#if NEXTPATCH_SIMT

uint32_t simt_shared_address(const void* pointer);
void simt_wgmma(float* d, int n, const uint32_t* a_registers, uint64_t a, uint64_t b, bool b_by_rows, bool add);
void wgmma_wait_groups(int groups_left);

inline uint32_t wgmma_address(const void* pointer) { return simt_shared_address(pointer); }
inline void wgmma_m64n64k16_bf16(float (&d)[8][4], MatrixDescriptor a, MatrixDescriptor b, bool add) {
  simt_wgmma(d[0], 64, nullptr, a.bits, b.bits, false, add);
}
inline void wgmma_m64n64k16_bf16(float (&d)[8][4], const uint32_t (&a)[4], MatrixDescriptor b, bool add) {
  simt_wgmma(d[0], 64, a, 0, b.bits, false, add);
}
inline void wgmma_m64n64k16_bf16_by_rows(float (&d)[8][4], const uint32_t (&a)[4], MatrixDescriptor b, bool add) {
  simt_wgmma(d[0], 64, a, 0, b.bits, true, add);
}
inline void wgmma_m64n128k16_bf16(float (&d)[16][4], MatrixDescriptor a, MatrixDescriptor b, bool add) {
  simt_wgmma(d[0], 128, nullptr, a.bits, b.bits, false, add);
}
inline void wgmma_m64n128k16_bf16(float (&d)[16][4], const uint32_t (&a)[4], MatrixDescriptor b, bool add) {
  simt_wgmma(d[0], 128, a, 0, b.bits, false, add);
}
inline void wgmma_m64n128k16_bf16_by_rows(float (&d)[16][4], const uint32_t (&a)[4], MatrixDescriptor b, bool add) {
  simt_wgmma(d[0], 128, a, 0, b.bits, true, add);
}
template <int groups_left>
void wgmma_wait() {
  wgmma_wait_groups(groups_left);
}

#else

__device__ __forceinline__ uint32_t wgmma_address(const void* pointer) { return shared_address(pointer); }

#if NEXTPATCH_WGMMA

NEXTPATCH_PTX void wgmma_m64n64k16_bf16(float (&d)[8][4], MatrixDescriptor a, MatrixDescriptor b, bool add) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %34, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,"
      "%24,%25,%26,%27,%28,%29,%30,%31"
      "}, %32, %33, p, 1, 1, 0, 0;\n}\n"
      : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]),
        "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]),
        "+f"(d[3][2]), "+f"(d[3][3]), "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]),
        "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]), "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]),
        "+f"(d[7][0]), "+f"(d[7][1]), "+f"(d[7][2]), "+f"(d[7][3])
      : "l"(a.bits), "l"(b.bits), "r"(int(add)));
}

NEXTPATCH_PTX void wgmma_m64n64k16_bf16(float (&d)[8][4], const uint32_t (&a)[4], MatrixDescriptor b, bool add) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %37, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,"
      "%24,%25,%26,%27,%28,%29,%30,%31"
      "}, {%32,%33,%34,%35}, %36, p, 1, 1, 0;\n}\n"
      : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]),
        "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]),
        "+f"(d[3][2]), "+f"(d[3][3]), "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]),
        "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]), "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]),
        "+f"(d[7][0]), "+f"(d[7][1]), "+f"(d[7][2]), "+f"(d[7][3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b.bits), "r"(int(add)));
}

NEXTPATCH_PTX void wgmma_m64n64k16_bf16_by_rows(float (&d)[8][4], const uint32_t (&a)[4], MatrixDescriptor b,
                                                bool add) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %37, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,"
      "%24,%25,%26,%27,%28,%29,%30,%31"
      "}, {%32,%33,%34,%35}, %36, p, 1, 1, 1;\n}\n"
      : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]),
        "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]),
        "+f"(d[3][2]), "+f"(d[3][3]), "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]),
        "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]), "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]),
        "+f"(d[7][0]), "+f"(d[7][1]), "+f"(d[7][2]), "+f"(d[7][3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b.bits), "r"(int(add)));
}

NEXTPATCH_PTX void wgmma_m64n128k16_bf16(float (&d)[16][4], MatrixDescriptor a, MatrixDescriptor b, bool add) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %66, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,"
      "%24,%25,%26,%27,%28,%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,"
      "%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
      "}, %64, %65, p, 1, 1, 0, 0;\n}\n"
      : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]),
        "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]),
        "+f"(d[3][2]), "+f"(d[3][3]), "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]),
        "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]), "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]),
        "+f"(d[7][0]), "+f"(d[7][1]), "+f"(d[7][2]), "+f"(d[7][3]), "+f"(d[8][0]), "+f"(d[8][1]), "+f"(d[8][2]),
        "+f"(d[8][3]), "+f"(d[9][0]), "+f"(d[9][1]), "+f"(d[9][2]), "+f"(d[9][3]), "+f"(d[10][0]), "+f"(d[10][1]),
        "+f"(d[10][2]), "+f"(d[10][3]), "+f"(d[11][0]), "+f"(d[11][1]), "+f"(d[11][2]), "+f"(d[11][3]), "+f"(d[12][0]),
        "+f"(d[12][1]), "+f"(d[12][2]), "+f"(d[12][3]), "+f"(d[13][0]), "+f"(d[13][1]), "+f"(d[13][2]), "+f"(d[13][3]),
        "+f"(d[14][0]), "+f"(d[14][1]), "+f"(d[14][2]), "+f"(d[14][3]), "+f"(d[15][0]), "+f"(d[15][1]), "+f"(d[15][2]),
        "+f"(d[15][3])
      : "l"(a.bits), "l"(b.bits), "r"(int(add)));
}

NEXTPATCH_PTX void wgmma_m64n128k16_bf16(float (&d)[16][4], const uint32_t (&a)[4], MatrixDescriptor b, bool add) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %69, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,"
      "%24,%25,%26,%27,%28,%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,"
      "%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
      "}, {%64,%65,%66,%67}, %68, p, 1, 1, 0;\n}\n"
      : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]),
        "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]),
        "+f"(d[3][2]), "+f"(d[3][3]), "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]),
        "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]), "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]),
        "+f"(d[7][0]), "+f"(d[7][1]), "+f"(d[7][2]), "+f"(d[7][3]), "+f"(d[8][0]), "+f"(d[8][1]), "+f"(d[8][2]),
        "+f"(d[8][3]), "+f"(d[9][0]), "+f"(d[9][1]), "+f"(d[9][2]), "+f"(d[9][3]), "+f"(d[10][0]), "+f"(d[10][1]),
        "+f"(d[10][2]), "+f"(d[10][3]), "+f"(d[11][0]), "+f"(d[11][1]), "+f"(d[11][2]), "+f"(d[11][3]), "+f"(d[12][0]),
        "+f"(d[12][1]), "+f"(d[12][2]), "+f"(d[12][3]), "+f"(d[13][0]), "+f"(d[13][1]), "+f"(d[13][2]), "+f"(d[13][3]),
        "+f"(d[14][0]), "+f"(d[14][1]), "+f"(d[14][2]), "+f"(d[14][3]), "+f"(d[15][0]), "+f"(d[15][1]), "+f"(d[15][2]),
        "+f"(d[15][3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b.bits), "r"(int(add)));
}

NEXTPATCH_PTX void wgmma_m64n128k16_bf16_by_rows(float (&d)[16][4], const uint32_t (&a)[4], MatrixDescriptor b,
                                                 bool add) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %69, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
      "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,"
      "%24,%25,%26,%27,%28,%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,"
      "%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
      "}, {%64,%65,%66,%67}, %68, p, 1, 1, 1;\n}\n"
      : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]),
        "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]),
        "+f"(d[3][2]), "+f"(d[3][3]), "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]),
        "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]), "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]),
        "+f"(d[7][0]), "+f"(d[7][1]), "+f"(d[7][2]), "+f"(d[7][3]), "+f"(d[8][0]), "+f"(d[8][1]), "+f"(d[8][2]),
        "+f"(d[8][3]), "+f"(d[9][0]), "+f"(d[9][1]), "+f"(d[9][2]), "+f"(d[9][3]), "+f"(d[10][0]), "+f"(d[10][1]),
        "+f"(d[10][2]), "+f"(d[10][3]), "+f"(d[11][0]), "+f"(d[11][1]), "+f"(d[11][2]), "+f"(d[11][3]), "+f"(d[12][0]),
        "+f"(d[12][1]), "+f"(d[12][2]), "+f"(d[12][3]), "+f"(d[13][0]), "+f"(d[13][1]), "+f"(d[13][2]), "+f"(d[13][3]),
        "+f"(d[14][0]), "+f"(d[14][1]), "+f"(d[14][2]), "+f"(d[14][3]), "+f"(d[15][0]), "+f"(d[15][1]), "+f"(d[15][2]),
        "+f"(d[15][3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b.bits), "r"(int(add)));
}

NEXTPATCH_PTX void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
NEXTPATCH_PTX void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int groups_left>
NEXTPATCH_PTX void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(groups_left) : "memory");
}
NEXTPATCH_PTX void fence_shared_for_wgmma() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

#endif
#endif

__device__ __forceinline__ MatrixDescriptor panel_descriptor(const void* panel, int next_panel) {
  // Address, distance of panels, of groups of 8 rows, each in units of 16 bytes; swizzle of 128 bytes.
  const uint64_t address = (wgmma_address(panel) & 0x3ffff) >> 4;
  return {address | uint64_t(next_panel >> 4) << 16 | uint64_t(1024 >> 4) << 32 | uint64_t(1) << 62};
}

#undef NEXTPATCH_PTX

}  // namespace nextpatch::cuda
