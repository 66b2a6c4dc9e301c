/** Faults in the calls of NCCL, and in how its stream is joined to the one that computes. */
import { nccl, ranksOnNccl } from "../checks.js";
import type { Mutant } from "../mutant.js";

const calls = "native/cuda/nccl_collectives.cpp";
const streams = "native/cuda/communication.cu";
const otherWeights = "● training by two ranks on NCCL › has one rank's losses";

export const collectives: readonly Mutant[] = [
  {
    fault: "A reduce-scatter counts the elements of all blocks.",
    file: calls,
    find: "in.data, out.data, size_t(out.size()), nc::kFloat32",
    replace: "in.data, out.data, size_t(in.size()), nc::kFloat32",
    check: nccl,
    says: "fake NCCL: memory that is not the device's",
  },
  {
    fault: "An all-gather counts elements, but gives their type as bytes.",
    file: calls,
    find: "bytes_of(in), nc::kInt8",
    replace: "size_t(in.size()), nc::kInt8",
    check: nccl,
    says: "what is gathered",
  },
  {
    fault: "An all-reduce adds whole numbers.",
    file: calls,
    find: "size_t(values.size()), nc::kFloat32",
    replace: "size_t(values.size()), nc::kInt8",
    check: nccl,
    says: "a reduction other than a sum in f32",
  },
  {
    fault: "An all-gather reads its result and writes its input.",
    file: calls,
    find: "api_.AllGather(in.data, out.data,",
    replace: "api_.AllGather(out.data, in.data,",
    check: nccl,
    says: "memory that is not the device's",
  },
  {
    fault: "An operation goes to the default stream.",
    file: calls,
    find: "bytes_of(in), nc::kInt8, to, stream_)",
    replace: "bytes_of(in), nc::kInt8, to, nullptr)",
    check: nccl,
    says: "another stream than before",
  },
  {
    fault: "The communicator is destroyed while a graph has its operations.",
    file: calls,
    find: "if (recorded_.empty()) require(",
    replace: "require(",
    check: nccl,
    says: "a graph has operations of the communicator that is destroyed",
  },
  {
    fault: "An operation's end is not counted: who is through with it seems to wait.",
    file: calls,
    find: "  progress_.end(stream_);\n",
    replace: "",
    check: nccl,
    says: "the count of operations",
  },
  {
    fault: "The operations do not wait for what was computed before.",
    file: streams,
    find: 'check(cudaStreamWaitEvent(owned_.stream, owned_.forked, 0), "fork");',
    replace: "",
    check: ranksOnNccl,
    says: otherWeights,
  },
  {
    fault: "What is computed next does not wait for the operations.",
    file: streams,
    find: 'check(cudaStreamWaitEvent(computing_, running_[running_.size() - left - 1], 0), "join");',
    replace: "",
    check: ranksOnNccl,
    says: otherWeights,
  },
  {
    fault: "An operation's end is marked in the stream that computes.",
    file: streams,
    find: "check(cudaEventRecord(done, owned_.stream),",
    replace: "check(cudaEventRecord(done, computing_),",
    check: ranksOnNccl,
    says: otherWeights,
  },
];
