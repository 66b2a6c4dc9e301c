/** A platform package without its files, for a machine on which npm reads its manifest and installs nothing of it. */
import { mkdirSync, writeFileSync } from "node:fs";
import { platformPackageJson, readPackageJson, root } from "../../scripts/release/package_json.js";
import { platforms, shortName } from "../../scripts/release/platforms.js";

const [name, folder] = process.argv.slice(2);
const platform = platforms.find((each) => shortName(each) === name);
if (platform === undefined || folder === undefined) throw new Error("usage: manifest_only.ts NAME FOLDER");
mkdirSync(folder, { recursive: true });
const json = platformPackageJson(readPackageJson(root), platform, []);
writeFileSync(`${folder}/package.json`, JSON.stringify(json));
