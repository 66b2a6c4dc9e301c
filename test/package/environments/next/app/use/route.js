import * as nextpatch from "nextpatch";
import * as kernels from "nextpatch/kernels";
import { use } from "../../use.mjs";

export const dynamic = "force-dynamic";
export async function GET() {
  return new Response(await use(nextpatch, kernels));
}
