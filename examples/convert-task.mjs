// Turns a published file of HellaSwag, ARC, PIQA, WinoGrande, MMLU or LAMBADA into items for `nextpatch eval --tasks`:
//
//     node node_modules/nextpatch/examples/convert-task.mjs hellaswag validation.parquet > hellaswag.jsonl
//     node node_modules/nextpatch/examples/convert-task.mjs mmlu dev.parquet first > mmlu-dev.jsonl
//
// The third word is for MMLU: before which questions its sentence about the subject goes (each, first, none).
import { convertTask } from "nextpatch";

const [name, file, describe] = process.argv.slice(2);
try {
  for await (const item of convertTask(name, file, describe === undefined ? {} : { describe })) {
    process.stdout.write(`${JSON.stringify(item)}\n`);
  }
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
