/** CHANGELOG.md names every release, and a release moves what is unreleased below a heading of its own. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "@jest/globals";
import { compareVersions, readChangelog, releaseChangelog } from "../../scripts/release/changelog.js";
import { consistencyProblems } from "../../scripts/release/versions.js";

const changelog = (sections: string) => `# Changelog\n\nWords.\n\n## [Unreleased]\n\n${sections}`;
const problems = (sections: string) => readChangelog(changelog(sections)).problems;

describe("this repository", () => {
  it("has one version, and a section for each release", () => {
    expect(consistencyProblems()).toEqual([]);
  });

  it("could be released", () => {
    const text = readFileSync(fileURLToPath(new URL("../../CHANGELOG.md", import.meta.url)), "utf8");
    const { releases, problems } = readChangelog(releaseChangelog(text, "999.0.0", "9999-12-31"));
    expect(problems).toEqual([]);
    expect(releases[0]).toMatchObject({ version: "999.0.0", date: "9999-12-31" });
  });
});

describe("readChangelog", () => {
  it("reads releases, the newest first", () => {
    const text = changelog("## [1.10.0] - 2026-02-01\n\n- B\n\n## [1.9.0] - 2026-01-31\n\n- A\n");
    expect(readChangelog(text)).toEqual({
      releases: [
        { version: "1.10.0", date: "2026-02-01", text: "- B" },
        { version: "1.9.0", date: "2026-01-31", text: "- A" },
      ],
      problems: [],
    });
  });

  it.each([
    ["a heading without a date", "## [1.0.0]\n\n- A\n", 'but received "## [1.0.0]"'],
    ["another format of the date", "## [1.0.0] - 31.1.2026\n\n- A\n", 'but received "## [1.0.0] - 31.1.2026"'],
    ["a day that is none", "## [1.0.0] - 2026-02-30\n\n- A\n", "1.0.0: expected a date but received 2026-02-30"],
    ["an empty section", "## [1.0.0] - 2026-01-31\n", "received an empty section"],
    ["the oldest first", "## [1.0.0] - 2026-01-31\n\n- A\n\n## [1.1.0] - 2026-01-31\n\n- B\n", "1.1.0 after 1.0.0"],
    [
      "dates that go back",
      "## [1.1.0] - 2026-01-01\n\n- B\n\n## [1.0.0] - 2026-01-31\n\n- A\n",
      "1.1.0: expected a date after 1.0.0's, 2026-01-31",
    ],
  ])("refuses %s", (_, sections, message) => {
    expect(problems(sections)).toEqual([expect.stringContaining(message)]);
  });

  it("refuses a text without an unreleased section", () => {
    expect(readChangelog("# Changelog\n\n## [1.0.0] - 2026-01-31\n\n- A\n").problems).toEqual([
      "expected the first section to be ## [Unreleased]",
    ]);
  });
});

describe("releaseChangelog", () => {
  it("keeps everything else", () => {
    const text = changelog("### Added\n\n- B\n\n## [1.0.0] - 2026-01-31\n\n- A\n");
    expect(releaseChangelog(text, "1.1.0", "2026-03-01")).toBe(
      changelog("## [1.1.0] - 2026-03-01\n\n### Added\n\n- B\n\n## [1.0.0] - 2026-01-31\n\n- A\n"),
    );
  });

  it("refuses a release without changes, and one that was made", () => {
    const text = changelog("## [1.0.0] - 2026-01-31\n\n- A\n");
    expect(() => releaseChangelog(text, "1.1.0", "2026-03-01")).toThrow("expected changes below");
    expect(() => releaseChangelog(text, "1.0.0", "2026-03-01")).toThrow("a version without a section");
  });
});

describe("compareVersions", () => {
  it("orders numbers as numbers, and a version after its release candidates", () => {
    const sorted = ["0.9.0", "0.10.0-rc.2", "0.10.0-rc.10", "0.10.0", "1.0.0"];
    expect([...sorted].reverse().sort(compareVersions)).toEqual(sorted);
  });
});
