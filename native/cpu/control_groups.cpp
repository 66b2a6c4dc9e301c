#include "control_groups.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>

namespace nextpatch::cpu {
namespace {

// A mounted hierarchy of groups: `root` is the group that its folder shows.
struct Mount {
  std::string root, folder;
};

// What a version of control groups calls its files.
struct Names {
  const char* usage;
  std::vector<const char*> limits;
  std::vector<const char*> files;  // in memory.stat: pages of files
  std::vector<const char*>
      above;  // in memory.stat: the limit of groups above, even those that a container does not see
};

// memory.high kills nothing. But without swap a process beyond it is slowed down until it stands still.
const Names kVersion2{"memory.current", {"memory.max", "memory.high"}, {"inactive_file", "active_file"}, {}};
const Names kVersion1{"memory.usage_in_bytes",
                      {"memory.limit_in_bytes"},
                      {"total_inactive_file", "total_active_file"},
                      {"hierarchical_memory_limit"}};

// Version 1 writes "no limit" as a number near 2^63.
constexpr int64_t kNoLimit = int64_t(1) << 60;

// The number in a file; nothing if there is none, as in "max".
std::optional<int64_t> read_number(const std::string& path) {
  int64_t number = 0;
  if (std::ifstream(path) >> number) return number;
  return std::nullopt;
}

// The sum of these lines of memory.stat.
int64_t read_stat(const std::string& path, const std::vector<const char*>& names) {
  std::ifstream file(path);
  std::string key;
  int64_t value = 0, sum = 0;
  while (file >> key >> value)
    if (std::find(names.begin(), names.end(), std::string_view(key)) != names.end()) sum += value;
  return sum;
}

bool lists(const std::string& commas, const std::string& wanted) {
  std::istringstream parts(commas);
  std::string part;
  while (std::getline(parts, part, ','))
    if (part == wanted) return true;
  return false;
}

// A path of /proc/self/mountinfo, in which a space is \040.
std::string unescaped(const std::string& path) {
  std::string out;
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '\\' && i + 3 < path.size()) {
      out += char(std::strtol(path.substr(i + 1, 3).c_str(), nullptr, 8));
      i += 3;
    } else {
      out += path[i];
    }
  }
  return out;
}

// Where a hierarchy is mounted: version 2's, or the one of version 1 that has this controller.
std::optional<Mount> find_mount(const std::string& root, const std::string& type, const std::string& controller) {
  std::ifstream file(root + "/proc/self/mountinfo");
  std::string line;
  while (std::getline(file, line)) {
    // 36 35 98:0 ROOT FOLDER OPTIONS [TAG:VALUE...] - TYPE SOURCE OPTIONS
    const size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream before(line.substr(0, dash)), after(line.substr(dash + 3));
    std::string id, parent, device, shown, folder, found_type, source, options;
    before >> id >> parent >> device >> shown >> folder;
    after >> found_type >> source >> options;
    if (found_type == type && (controller.empty() || lists(options, controller)))
      return Mount{unescaped(shown), unescaped(folder)};
  }
  return std::nullopt;
}

// The path of the process's group in a hierarchy: /proc/self/cgroup has lines NUMBER:CONTROLLERS:PATH.
std::optional<std::string> find_group(const std::string& root, const std::string& controller) {
  std::ifstream file(root + "/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (controller.empty() ? controllers.empty() : lists(controllers, controller)) return line.substr(second + 1);
  }
  return std::nullopt;
}

// The group's path below the mount's folder: "" or "/a/b". A container may see a part of the hierarchy only, and groups
// by paths outside of it. Then the highest that it sees is the nearest group that is known to hold the process.
std::string below(const Mount& mount, const std::string& group) {
  const std::string shown = mount.root == "/" ? "" : mount.root;
  const bool inside = group.compare(0, shown.size(), shown) == 0 && group.find("/..") == std::string::npos;
  const std::string path = inside ? group.substr(shown.size()) : "";
  return path.size() > 1 && path[0] == '/' ? path : "";
}

void add_hierarchy(std::vector<GroupMemory>& out, const std::string& root, const std::string& type,
                   const std::string& controller, const Names& names) {
  const std::optional<Mount> mount = find_mount(root, type, controller);
  const std::optional<std::string> group = find_group(root, controller);
  if (!mount || !group) return;
  for (std::string path = below(*mount, *group), own = path;; path.resize(path.rfind('/'))) {
    const std::string folder = mount->folder + path + "/";
    // In version 1 a group may leave out those below it.
    const bool holds = path == own || read_number(root + folder + "memory.use_hierarchy").value_or(1) != 0;
    const std::optional<int64_t> usage = read_number(root + folder + names.usage);
    if (holds && usage) {
      const std::string stat = folder + "memory.stat";
      const int64_t used = std::max<int64_t>(0, *usage - read_stat(root + stat, names.files));
      for (const char* name : names.limits) {
        const std::optional<int64_t> limit = read_number(root + folder + name);
        if (limit && *limit < kNoLimit) out.push_back({folder + name, *limit, used});
      }
      const int64_t above = read_stat(root + stat, names.above);
      if (path == own && above > 0 && above < kNoLimit) out.push_back({stat, above, used});
    }
    if (path.empty()) return;
  }
}

}  // namespace

std::vector<GroupMemory> group_memory(const std::string& root) {
  std::vector<GroupMemory> out;
  add_hierarchy(out, root, "cgroup2", "", kVersion2);
  add_hierarchy(out, root, "cgroup", "memory", kVersion1);
  return out;
}

}  // namespace nextpatch::cpu
