/** CHANGELOG.md: what must hold of its headings, and how a release moves them. */

export interface Release {
  readonly version: string;
  /** YYYY-MM-DD */
  readonly date: string;
  /** What stands below the heading. */
  readonly text: string;
}

const unreleased = "## [Unreleased]";
const heading = /^## \[(\d+\.\d+\.\d+(?:-[0-9a-z.-]+)?)\] - (\d{4}-\d{2}-\d{2})$/;

/** Its sections, the newest first, and what is wrong with them: a sentence each. */
export function readChangelog(text: string): { readonly releases: readonly Release[]; readonly problems: string[] } {
  const problems: string[] = [];
  const releases: Release[] = [];
  const [, ...sections] = text.split(/^(?=## )/m);
  if (!sections[0]?.startsWith(`${unreleased}\n`)) problems.push(`expected the first section to be ${unreleased}`);
  for (const section of sections.slice(1)) {
    const [line, ...rest] = section.split("\n");
    const found = heading.exec(line!);
    if (found === null) {
      problems.push(`expected a heading like "## [1.2.3] - 2026-01-31" but received "${line}"`);
      continue;
    }
    const release = { version: found[1]!, date: found[2]!, text: rest.join("\n").trim() };
    const last = releases.at(-1);
    if (!isDate(release.date)) problems.push(`${release.version}: expected a date but received ${release.date}`);
    if (release.text === "") problems.push(`${release.version}: expected its changes but received an empty section`);
    if (last !== undefined && compareVersions(release.version, last.version) >= 0) {
      problems.push(
        `expected versions from the newest to the oldest but received ${release.version} after ${last.version}`,
      );
    }
    if (last !== undefined && release.date > last.date) {
      problems.push(
        `${last.version}: expected a date after ${release.version}'s, ${release.date}, but received ${last.date}`,
      );
    }
    releases.push(release);
  }
  return { releases, problems };
}

/** The text with everything unreleased as a release's. @throws Error if nothing is unreleased, or it was released */
export function releaseChangelog(text: string, version: string, date: string): string {
  const { releases, problems } = readChangelog(text);
  if (problems.length > 0) throw new Error(`CHANGELOG.md: ${problems.join("; ")}`);
  if (releases.some((release) => release.version === version)) {
    throw new Error(`CHANGELOG.md: expected a version without a section but received ${version}`);
  }
  const [start, rest] = text.split(`${unreleased}\n`) as [string, string];
  if (rest.split(/^## /m)[0]!.trim() === "") throw new Error(`CHANGELOG.md: expected changes below "${unreleased}"`);
  return `${start}${unreleased}\n\n## [${version}] - ${date}\n${rest}`;
}

const isDate = (text: string): boolean => {
  const date = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
};

/** As semantic versions are ordered, a version without a suffix after those with one. */
export function compareVersions(a: string, b: string): number {
  const [coreA, suffixA] = split(a);
  const [coreB, suffixB] = split(b);
  const byNumbers = (x: string, y: string) => x.localeCompare(y, "en", { numeric: true });
  if (coreA !== coreB) return byNumbers(coreA, coreB);
  if (suffixA === "" || suffixB === "") return suffixA === suffixB ? 0 : suffixA === "" ? 1 : -1;
  return byNumbers(suffixA, suffixB);
}

function split(version: string): [core: string, suffix: string] {
  const dash = version.indexOf("-");
  return dash < 0 ? [version, ""] : [version.slice(0, dash), version.slice(dash + 1)];
}
