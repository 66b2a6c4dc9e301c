/** A platform package's README. */
import type { NativeManifest } from "./native_manifest.js";
import { newest } from "./packed_package.js";
import type { Platform } from "./platforms.js";

const installed = (platform: Platform): string =>
  platform.withMain
    ? "It comes with `npm install nextpatch` where it fits; there is no need to install it by its name."
    : `npm does not choose by the GPU, so it is installed by its name, in the version of nextpatch:

\`\`\`sh
npm install nextpatch ${platform.name}
\`\`\`

cuBLAS, and NCCL for several GPUs, are found at run time; \`npx nextpatch info\` says which were, and how to get them.`;

export function platformReadme(platform: Platform, manifest: NativeManifest): string {
  const glibc = newest(manifest.files.flatMap((file) => file.glibc ?? []));
  return `# ${platform.name}

For [nextpatch](https://www.npmjs.com/package/nextpatch): ${platform.brings}. It needs glibc ${glibc} or later.

${installed(platform)}

It holds no JavaScript, and nothing runs when it is installed. \`manifest.json\` says what each file was built from.
nextpatch is under the Apache License 2.0 (\`LICENSE\`); \`licenses\` has those of what is linked into the libraries or
lies beside them.
`;
}
