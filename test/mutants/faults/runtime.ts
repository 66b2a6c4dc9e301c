/** Faults in streams, events, devices and errors. */
import { simt } from "../checks.js";
import type { Mutant } from "../mutant.js";

const file = "native/cuda/context.cu";
const uploads = simt("binding/device", { filter: "on simt" });
const lateUploads = simt("binding/device", { filter: "on simt", late: true });

export const runtime: readonly Mutant[] = [
  {
    fault: "An operation does not wait for the copy stream's upload.",
    file,
    find: '  check(cudaStreamWaitEvent(stream, owned_.arrived, 0), "upload");\n',
    replace: "",
    check: uploads,
    says: "● Device on simt › prefetches",
  },
  {
    fault: "An upload on the copy stream does not wait until the last one has been copied out of its buffer.",
    file,
    find: '  check(cudaStreamWaitEvent(copies, owned_.departed, 0), "upload");\n',
    replace: "",
    check: uploads,
    says: "● Device on simt › prefetches",
  },
  {
    fault: "An upload to fresh memory does not wait for the operations that used it before.",
    file,
    find: '  if (fresh) check(cudaEventRecord(owned_.departed, stream), "upload");\n',
    replace: "",
    check: lateUploads,
    says: "● Device on simt › prefetches",
  },
  {
    fault: "A ticket is recorded on the copy stream: who waits for it does not wait for the operations.",
    file,
    find: "cudaEventRecord(owned_.events[ticket % kEvents], owned_.device.stream)",
    replace: "cudaEventRecord(owned_.events[ticket % kEvents], owned_.copies)",
    check: uploads,
    says: "● Device on simt",
  },
  {
    fault: "A timestamp that is captured marks a place in the graph only.",
    file,
    find: "capturing_ ? cudaEventRecordExternal : cudaEventRecordDefault",
    replace: "cudaEventRecordDefault",
    check: simt("binding/graph", { filter: "marks on simt" }),
    says: "● marks on simt › are noted anew by every launch",
  },
  {
    fault: "A device's thread leaves another device current.",
    file,
    find: 'void CudaContext::enter() { use("open"); }',
    replace: "void CudaContext::enter() {}",
    check: simt("binding/process", { filter: "two devices" }),
    says: "● a process with two devices › uses both at once",
  },
  {
    fault: "An error that loses the device is taken for the operation's own.",
    file: "native/cuda/check.h",
    find: "    case 719:  // cudaErrorLaunchFailure\n",
    replace: "",
    check: simt("binding/process", { filter: "whose device faults" }),
    says: "● a process whose device faults › hears of it",
  },
];
