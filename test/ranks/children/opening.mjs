/** Rank 1 fails on its way into NCCL, after it has met the others. Argument: how, by a variable of the fake NCCL's. */
const [name, value] = process.argv[3].split("=");
if (process.env.RANK === "1") process.env[name] = value;
await import("./rank.mjs");
