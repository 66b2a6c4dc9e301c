/** `npm run bench`: kernels and training steps; `npm run bench -- prepare`: text to token shards. */
await import(process.argv[2] === "prepare" ? "./prepare.js" : "./run.js");
