/** Parses the output of NVIDIA's compiler: `ptxas -v`'s report, and instructions in PTX and machine code. */

/** A kernel's resources, as ptxas reports them; bytes, except for the registers. */
export interface KernelUse {
  /** Mangled. */
  readonly symbol: string;
  /** `sm_80`. */
  readonly architecture: string;
  readonly registers: number;
  /** Static shared memory; what a launch requests is added to it. */
  readonly staticShared: number;
  readonly stack: number;
  readonly spillStores: number;
  readonly spillLoads: number;
}

/** The kernels in the output of `nvcc -Xptxas -v`. */
export function parseUse(text: string): KernelUse[] {
  const parts = text.split(/^ptxas info\s*: Compiling entry function /m).slice(1);
  return parts.map((part) => {
    const [, symbol, architecture] = /^'([^']+)' for '([^']+)'/.exec(part) ?? [];
    const registers = /Used (\d+) registers/.exec(part)?.[1];
    const frame = /(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads/.exec(part);
    if (symbol === undefined || architecture === undefined || registers === undefined || frame === null) {
      throw new Error(`ptxas: expected an entry function with its registers and stack, got: ${part.slice(0, 300)}`);
    }
    return {
      symbol,
      architecture,
      registers: Number(registers),
      staticShared: Number(/(\d+) bytes smem/.exec(part)?.[1] ?? 0),
      stack: Number(frame[1]),
      spillStores: Number(frame[2]),
      spillLoads: Number(frame[3]),
    };
  });
}

/** Symbols of the kernels whose products of warpgroups the assembler runs one after another, for want of registers. */
export function serialized(text: string): string[] {
  const messages = text.matchAll(/\(C75\d\d\) Potential Performance Loss: wgmma\S* .* function '([^']+)'/g);
  return [...new Set([...messages].map(([, symbol]) => symbol!))];
}

/** What the assembler has added to a kernel so that its warpgroups' products are right. */
export interface Injected {
  /** Fences: without one, a product may read registers that are not written yet. */
  readonly fences: number;
  /** Waits: for registers of a product that still ran. */
  readonly waits: number;
}

/** By the kernel's symbol; those to which it has added nothing are not there. */
export function injected(text: string): Map<string, Injected> {
  const counts = new Map<string, Injected>();
  const messages = text.matchAll(/\(C75\d\d\) warpgroup\.(arrive|wait) is injected .* function '([^']+)'/g);
  for (const [, what, symbol] of messages) {
    const { fences, waits } = counts.get(symbol!) ?? { fences: 0, waits: 0 };
    counts.set(symbol!, what === "arrive" ? { fences: fences + 1, waits } : { fences, waits: waits + 1 });
  }
  return counts;
}

/** Counts of instructions in a kernel's PTX that show which units it uses. */
export interface InstructionCounts {
  readonly mma: number;
  readonly ldmatrix: number;
  readonly cpAsync: number;
  /** 16-byte accesses by one thread: loads and stores, without the two kinds above. */
  readonly shared16: number;
  readonly global16: number;
}

/** Vector types of 16 bytes. */
const wide = String.raw`\.(?:v4\.[bfsu]32|v2\.[bfsu]64)\b`;
const patterns = {
  mma: /\bmma\.sync\./g,
  ldmatrix: /\bldmatrix\.sync\./g,
  cpAsync: /\bcp\.async\.c[ag]\.shared\.global\b/g,
  shared16: new RegExp(String.raw`\b(?:ld|st)(?:\.[a-z_:]+)*\.shared(?:\.[a-zA-Z_:0-9]+)*?${wide}`, "g"),
  global16: new RegExp(String.raw`\b(?:ld|st)(?:\.[a-z_:]+)*\.global(?:\.[a-zA-Z_:0-9]+)*?${wide}`, "g"),
};

/** Each kernel's counts by its mangled name. Functions that were not inlined are not counted. */
export function countInstructions(ptx: string): Map<string, InstructionCounts> {
  const kernels = ptx.split(/^(?:\.visible |\.weak )?\.entry /m).slice(1);
  return new Map(
    kernels.map((text) => {
      const body = text.split(/^\.(?:visible|weak|func|global)/m)[0]!;
      const count = (pattern: RegExp) => body.match(pattern)?.length ?? 0;
      const counts = {
        mma: count(patterns.mma),
        ldmatrix: count(patterns.ldmatrix),
        cpAsync: count(patterns.cpAsync),
        shared16: count(patterns.shared16),
        global16: count(patterns.global16),
      };
      return [/^[\w$]+/.exec(text)![0], counts] as const;
    }),
  );
}

/**
 * The counted machine instructions: tensor cores, a warpgroup's products, ldmatrix, cp.async, 16-byte accesses by one
 * thread, and local memory (spills, and arrays indexed at run time).
 */
export const sassInstructions = [
  "HMMA",
  "HGMMA",
  "LDSM",
  "LDGSTS",
  "LDG.128",
  "STG.128",
  "LDS.128",
  "STS.128",
  "LDL",
  "STL",
];

/** A kernel's counts for one architecture, in the order of `sassInstructions`. */
export interface SassCounts {
  readonly symbol: string;
  readonly architecture: string;
  readonly counts: readonly number[];
}

/** The kernels in the output of `cuobjdump --dump-sass`. */
export function countSass(text: string): SassCounts[] {
  return text
    .split(/^\s*code for (?=sm_)/m)
    .slice(1)
    .flatMap((part) => {
      const architecture = /^\w+/.exec(part)![0];
      return part
        .split(/^\s*Function : /m)
        .slice(1)
        .map((body) => {
          const lines = body.matchAll(/^\s*\/\*[0-9a-f]+\*\/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)/gm);
          const opcodes = [...lines].map(([, opcode]) => opcode!);
          const counts = sassInstructions.map((wanted) => {
            const [name, width] = wanted.split(".");
            return opcodes.filter((opcode) => {
              const parts = opcode.split(".");
              return parts[0] === name && (width === undefined || parts.includes(width));
            }).length;
          });
          return { symbol: /^\S+/.exec(body)![0], architecture, counts };
        });
    });
}

/** `attention_forward_kernel<64>` of a demangled signature: namespaces and parameters are left out. */
export function shortName(demangled: string): string {
  const plain = demangled.replaceAll("(anonymous namespace)", "").replaceAll("__nv_bfloat16", "bf16");
  const signature = plain.replace(/^(?:void|\w[\w:]*) (?=\S)/, "");
  let depth = 0;
  for (let i = 0; i < signature.length; i++) {
    if (signature[i] === "<") depth++;
    else if (signature[i] === ">") depth--;
    else if (signature[i] === "(" && depth === 0) return withoutNamespaces(signature.slice(0, i));
  }
  return withoutNamespaces(signature);
}

function withoutNamespaces(name: string): string {
  // `(int)64`: c++filt writes the type of a constant argument.
  return name.replace(/\((?:int|unsigned int|bool|long)\)/g, "").replace(/(?:\w*::)+/g, "");
}
