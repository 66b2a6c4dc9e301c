import { describe, expect, it } from "@jest/globals";
import {
  countInstructions,
  countSass,
  injected,
  parseUse,
  sassInstructions,
  serialized,
  shortName,
} from "../../bench/ptxas.js";

describe("parseUse", () => {
  const text = [
    "ptxas info    : 0 bytes gmem, 24 bytes cmem[4]",
    "ptxas info    : Compiling entry function '_Z3abcv' for 'sm_80'",
    "ptxas info    : Function properties for _Z3abcv",
    "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads",
    "ptxas info    : Used 168 registers, used 1 barriers, 516 bytes cmem[0]",
    "ptxas info    : Compile time = 419.193 ms",
    "ptxas info    : Compiling entry function '_Z3abcv' for 'sm_90a'",
    "ptxas info    : Function properties for _Z3abcv",
    "    8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads",
    "ptxas info    : Used 255 registers, used 1 barriers, 8 bytes cumulative stack size, 1024 bytes smem",
  ].join("\n");

  it("reads registers, shared memory, stack and spills of every kernel and architecture", () => {
    const symbol = "_Z3abcv";
    const none = { staticShared: 0, stack: 0, spillStores: 0, spillLoads: 0 };
    expect(parseUse(text)).toEqual([
      { symbol, architecture: "sm_80", registers: 168, ...none },
      { symbol, architecture: "sm_90a", registers: 255, staticShared: 1024, stack: 8, spillStores: 4, spillLoads: 12 },
    ]);
  });

  it("refuses a report it does not understand", () => {
    expect(() => parseUse(text.replace("Used 168 registers", "Used many"))).toThrow(/registers and stack/);
  });
});

describe("what ptxas says of a warpgroup's products", () => {
  const info = (code: string, rest: string) => `ptxas info    : (${code}) ${rest}\n`;
  const loss = "Potential Performance Loss: wgmma.mma_async instructions are serialized due to";
  const injection = (what: string, line: number, kernel: string) =>
    `warpgroup.${what} is injected in around line ${line} by compiler to allow use of registers in function '${kernel}'`;

  it("names the kernels whose products do not overlap, once", () => {
    const registers = `${loss} insufficient register resources for the wgmma pipeline in the function '_Z1av'`;
    const early = `${loss} non wgmma instructions reading accumulator registers of  a wgmma in the function '_Z1bv'`;
    const other = "Potential Performance Loss: 'setmaxnreg' ignored to maintain minimum register requirements.";
    expect(serialized(info("C7510", registers) + info("C7514", early) + info("C7514", early))).toEqual([
      "_Z1av",
      "_Z1bv",
    ]);
    expect(serialized(info("C7508", other) + info("C7519", injection("arrive", 7, "_Z1av")))).toEqual([]);
  });

  it("counts the fences and waits that it has added", () => {
    const text = [
      info("C7519", injection("arrive", 7, "_Z1av")),
      info("C7519", injection("arrive", 9, "_Z1av")),
      info("C7517", injection("wait", 8, "_Z1av")),
      info("C7517", injection("wait", 8, "_Z1bv")),
      info("C7514", `${loss} ill formed pipeline stage in the function '_Z1cv'`),
    ];
    expect(Object.fromEntries(injected(text.join("")))).toEqual({
      _Z1av: { fences: 2, waits: 1 },
      _Z1bv: { fences: 0, waits: 1 },
    });
  });
});

describe("countInstructions", () => {
  it("counts tensor-core instructions and 16-byte accesses of each kernel, and nothing narrower", () => {
    const counts = countInstructions(`
.visible .entry _Z1av(
)
{
	mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f1}, {%r1}, {%r2}, {%f2};
	ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%r1,%r2,%r3,%r4}, [%r5];
	cp.async.cg.shared.global [%r1], [%rd1], 16, %r2;
	cp.async.commit_group;
	ld.shared.v4.u32 {%r1,%r2,%r3,%r4}, [%r5];
	st.shared.u32 [%r5], %r1;
	st.global.wb.v4.u32 [%rd1], {%r1,%r2,%r3,%r4};
	ld.global.nc.L1::no_allocate.L2::128B.v4.f32 {%f1,%f2,%f3,%f4}, [%rd1];
	ld.global.v2.b64 {%rd1,%rd2}, [%rd3];
	ld.global.v2.u32 {%r1,%r2}, [%rd3];
}
.entry _Z1bv(
)
{
	st.global.f32 [%rd1], %f1;
}
`);
    expect(Object.fromEntries(counts)).toEqual({
      _Z1av: { mma: 1, ldmatrix: 1, cpAsync: 1, shared16: 1, global16: 3 },
      _Z1bv: { mma: 0, ldmatrix: 0, cpAsync: 0, shared16: 0, global16: 0 },
    });
  });
});

describe("countSass", () => {
  it("counts the machine instructions of each kernel and architecture", () => {
    const dump = `
Fatbin elf code:
================
arch = sm_80
host = linux

	code for sm_80
		Function : _Z1av
	.headerflags	@"EF_CUDA_TEXMODE_UNIFIED EF_CUDA_64BIT_ADDRESS EF_CUDA_SM80"
        /*0000*/                   MOV R1, c[0x0][0x28] ;            /* 0x00000a0000017a02 */
                                                                     /* 0x000fe40000000f00 */
        /*0010*/                   HMMA.16816.F32.BF16 R4, R8, R10, R4 ;
        /*0020*/              @!P0 LDG.E.128.CONSTANT R4, [R2.64] ;
        /*0030*/                   LDG.E R4, [R2.64] ;
        /*0040*/              @UP0 LDSM.16.MT88.4 R4, [R2] ;
        /*0050*/                   LDGSTS.E.BYPASS.128 [R2], [R4.64] ;
        /*0060*/                   STL [R1], R4 ;
	..........
		Function : _Z1bv
        /*0000*/               @P1 STG.E.128 [R2.64], R4 ;

	code for sm_90a
		Function : _Z1av
        /*0000*/                   LDS.128 R4, [R2] ;
        /*0010*/                   STS.128 [R2], R4 ;
        /*0020*/                   LDL.LU R4, [R1] ;
`;
    const kernel = (symbol: string, architecture: string, ...instructions: string[]) => ({
      symbol,
      architecture,
      counts: sassInstructions.map((name) => (instructions.includes(name) ? 1 : 0)),
    });
    expect(countSass(dump)).toEqual([
      kernel("_Z1av", "sm_80", "HMMA", "LDG.128", "LDSM", "LDGSTS", "STL"),
      kernel("_Z1bv", "sm_80", "STG.128"),
      kernel("_Z1av", "sm_90a", "LDS.128", "STS.128", "LDL"),
    ]);
  });
});

describe("shortName", () => {
  it.each([
    [
      "void nextpatch::cuda::(anonymous namespace)::attention_forward_kernel<64>" +
        "(nextpatch::cuda::Heads<__nv_bfloat16>, float*)",
      "attention_forward_kernel<64>",
    ],
    ["void nextpatch::cuda::(anonymous namespace)::kernel<__nv_bfloat16, (int)4>(float*, long)", "kernel<bf16, 4>"],
    ["nextpatch::cuda::(anonymous namespace)::plain_kernel(float*)", "plain_kernel"],
  ])("%s", (demangled, short) => {
    expect(shortName(demangled)).toBe(short);
  });
});
