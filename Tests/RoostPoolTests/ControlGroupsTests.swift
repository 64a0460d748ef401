import Testing

@testable import RoostPool

/// Texts of /proc and /sys as several systems write them.
@Suite struct ControlGroupsTests {
  static let version1Mounts = """
    32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
    35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
    41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
    """
  static let version2Mounts = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"

  static func paths(_ membership: String, _ mounts: String) -> [String] {
    ControlGroups(membership: membership, mounts: mounts).groups.map(\.path)
  }

  @Test func walksUpFromTheOwnGroupToTheRoot() {
    let one = Self.paths("9:name=systemd:/\n4:memory:/a/b\n1:cpu:/c\n", Self.version1Mounts)
    #expect(one == ["/sys/fs/cgroup/memory/a/b", "/sys/fs/cgroup/memory/a", "/sys/fs/cgroup/memory"])
    let two = Self.paths("0::/user.slice/x.scope\n", Self.version2Mounts)
    #expect(two == ["/sys/fs/cgroup/user.slice/x.scope", "/sys/fs/cgroup/user.slice", "/sys/fs/cgroup"])
  }

  @Test func looksAtBothVersionsWhereBothAreMounted() {
    let groups = ControlGroups(membership: "4:cpu,memory:/a\n0::/b\n", mounts: Self.version1Mounts).groups
    #expect(groups.map(\.isVersion2) == [false, false, true, true])
  }

  @Test func takesTheMountPointForContainersThatSeeTheirOwnPartOnly() {
    // Docker with version 1: the mount's root is the container's group, and so is the path.
    let mounts = "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory"
    #expect(Self.paths("4:memory:/docker/abc", mounts) == ["/sys/fs/cgroup/memory"])
    #expect(Self.paths("4:memory:/docker/abc/d", mounts) == ["/sys/fs/cgroup/memory/d", "/sys/fs/cgroup/memory"])
    #expect(Self.paths("4:memory:/docker/abcd", mounts) == ["/sys/fs/cgroup/memory"])
    // A path outside the namespace.
    #expect(Self.paths("0::/../other", Self.version2Mounts) == ["/sys/fs/cgroup"])
  }

  @Test func survivesTextsThatMakeNoSense() {
    for membership in ["", ":::", "x", "0::", "4:memory:", "\n\n", "0::/a\0b"] {
      for mounts in ["", "-", "1 2 3 4 5 6 -", "- - - - - - - - - -", Self.version2Mounts] {
        _ = Self.paths(membership, mounts)
      }
    }
    let blank = "35 31 0:32 / /mnt/my\\040groups rw - cgroup cgroup rw,memory"
    #expect(Self.paths("4:memory:/", blank) == ["/mnt/my groups"])
  }

  @Test func findsTheTightestLimitAnywhereAboveAndCountsPageCacheAsFree() {
    let two = ControlGroups(membership: "0::/a/b\n", mounts: Self.version2Mounts)
    let files = [
      "/sys/fs/cgroup/a/b/memory.max": "max\n", "/sys/fs/cgroup/a/b/memory.high": "max\n",
      "/sys/fs/cgroup/a/b/memory.current": "100\n", "/sys/fs/cgroup/a/memory.max": "5000\n",
      "/sys/fs/cgroup/a/memory.high": "4000\n", "/sys/fs/cgroup/a/memory.current": "3500\n",
      "/sys/fs/cgroup/a/memory.stat": "anon 3000\ninactive_file 500\ninactive_files 9\n",
    ]
    let room = two.room { files[$0] }
    #expect(room?.bytes == 1000 && room?.limitBytes == 4000 && room?.file == "/sys/fs/cgroup/a/memory.high")
    let one = ControlGroups(membership: "4:memory:/a\n", mounts: Self.version1Mounts)
    let unlimited = [
      "/sys/fs/cgroup/memory/a/memory.limit_in_bytes": "9223372036854771712\n",
      "/sys/fs/cgroup/memory/a/memory.usage_in_bytes": "1\n",
    ]
    #expect(one.room { unlimited[$0] } == nil)
    let exceeded = [
      "/sys/fs/cgroup/memory/memory.limit_in_bytes": "1000\n", "/sys/fs/cgroup/memory/memory.usage_in_bytes": "2000\n",
    ]
    #expect(one.room { exceeded[$0] }?.bytes == 0)
    #expect(one.room { _ in "nonsense" } == nil)
  }
}
