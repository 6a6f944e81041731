//! Requirements of a node on the machine, asked before anything is started.

use std::fs;
use std::path::Path;
use std::process::Command;

use credence_programs::process::path::find_program;

use super::cgroups::{self, Mount};

/// Commands that a node uses, and the Debian package of each.
const COMMANDS: [(&str, &str); 7] = [
    ("runc", "runc"),
    ("ip", "iproute2"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("mount", "mount"),
    ("find", "findutils"),
    ("sh", "dash"),
];
/// Controllers without which a kubelet ends at once with cgroups of version 1 (`validateSystemRequirements` in its
/// `pkg/kubelet/cm/container_manager_linux.go`), and those that runc needs for every container.
const CONTROLLERS: [&str; 7] = ["cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "pids"];
/// The same for the unified hierarchy, where runc has no need of the others.
const UNIFIED_CONTROLLERS: [&str; 4] = ["cpu", "cpuset", "memory", "pids"];
/// Numbers of capabilities, from capabilities(7).
const CAPABILITIES: [(&str, u32); 2] = [("CAP_NET_ADMIN", 12), ("CAP_SYS_ADMIN", 21)];

/// All that stands in the way, as one text.
pub(super) fn unsupported() -> Option<String> {
    let obstacles = Facts::gather().obstacles();
    (!obstacles.is_empty()).then(|| obstacles.join("; "))
}

struct Facts {
    root: bool,
    /// Effective capabilities of this process, a bit for each.
    capabilities: u64,
    missing: Vec<(&'static str, &'static str)>,
    /// Output of `runc --version`, if there is runc.
    runc: Option<String>,
    kernel_log: bool,
    /// The text of `/proc/self/mounts`.
    mounts: String,
    /// Controllers at the root of the unified hierarchy.
    unified: String,
    /// Those that it passes on to the directories below.
    passed_on: String,
    /// True if that root is one of a container, which can pass nothing on while processes are in it: the "no internal
    /// process constraint" of cgroups(7). Only the machine's own root has no type.
    nested: bool,
}

impl Facts {
    fn gather() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let missing = COMMANDS.into_iter().filter(|(name, _)| find_program(name).is_none()).collect();
        let runc = find_program("runc").and_then(|path| Command::new(path).arg("--version").output().ok());
        Self {
            root: rustix::process::geteuid().is_root(),
            capabilities: effective_capabilities(&read("/proc/self/status")).unwrap_or_default(),
            missing,
            runc: runc.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()),
            kernel_log: Path::new("/dev/kmsg").exists(),
            mounts: read("/proc/self/mounts"),
            unified: read("/sys/fs/cgroup/cgroup.controllers"),
            passed_on: read("/sys/fs/cgroup/cgroup.subtree_control"),
            nested: Path::new("/sys/fs/cgroup/cgroup.type").exists(),
        }
    }

    /// Each thing that is missing, with what would change it.
    fn obstacles(&self) -> Vec<String> {
        if !self.root {
            return vec!["a node needs root: run credence as root".to_owned()];
        }
        let mut obstacles: Vec<String> = CAPABILITIES
            .into_iter()
            .filter(|(_, number)| self.capabilities & (1 << number) == 0)
            .map(|(name, _)| format!("root lacks {name} here: run outside a container, or in a privileged one"))
            .collect();
        obstacles.extend(
            self.missing.iter().map(|(name, package)| format!("there is no {name}: install the package {package}")),
        );
        if self.runc.as_ref().is_some_and(|version| !version.contains("libseccomp")) {
            obstacles.push("runc was built without seccomp: install the distribution's".to_owned());
        }
        if !self.kernel_log {
            obstacles
                .push("there is no /dev/kmsg, which a kubelet reads: pass the device into the container".to_owned());
        }
        obstacles.extend(self.cgroup_obstacle());
        obstacles
    }

    fn cgroup_obstacle(&self) -> Option<String> {
        let mounts: Vec<Mount<'_>> = self.mounts.lines().filter_map(Mount::parse).collect();
        if let Some(mount) = mounts.iter().find(|mount| mount.options.contains(&"ro")) {
            return Some(format!("{} is read-only: mount it writable", mount.point.display()));
        }
        let withheld = cgroups::missing(&self.unified, &self.passed_on);
        if self.nested && !withheld.is_empty() {
            let withheld = withheld.join(", ");
            return Some(format!(
                "this container's cgroup passes {withheld} on to none below: run outside a container"
            ));
        }
        let first = mounts.iter().filter(|mount| !mount.unified).flat_map(|mount| mount.options.iter().copied());
        let (found, wanted): (Vec<&str>, &[&str]) = if mounts.iter().any(|mount| !mount.unified) {
            (first.collect(), &CONTROLLERS)
        } else {
            (self.unified.split_whitespace().collect(), &UNIFIED_CONTROLLERS)
        };
        let missing: Vec<&str> = wanted.iter().copied().filter(|name| !found.contains(name)).collect();
        (!missing.is_empty()).then(|| {
            format!("no cgroup controller {} is mounted: mount cgroups with all controllers", missing.join(", "))
        })
    }
}

/// The mask after `CapEff:` in `/proc/PID/status`, see proc_pid_status(5).
fn effective_capabilities(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const UNIFIED: &str = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n";

    fn able() -> Facts {
        Facts {
            root: true,
            capabilities: u64::MAX,
            missing: Vec::new(),
            runc: Some("runc version 1.1.5\nlibseccomp: 2.5.4\n".to_owned()),
            kernel_log: true,
            mounts: UNIFIED.to_owned(),
            unified: "cpuset cpu io memory pids".to_owned(),
            passed_on: "memory pids".to_owned(),
            nested: false,
        }
    }

    #[test]
    fn a_machine_that_has_all_is_able() {
        assert_eq!(able().obstacles(), Vec::<String>::new());
    }

    #[test]
    fn hierarchies_of_version_1_serve_as_well() {
        let controllers = ["cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "pids"];
        let mounts: String =
            controllers.iter().map(|name| format!("cgroup /sys/fs/cgroup/{name} cgroup rw,{name} 0 0\n")).collect();
        let facts = Facts { mounts, unified: String::new(), ..able() };
        assert_eq!(facts.obstacles(), Vec::<String>::new());
    }

    #[rstest]
    #[case::user(Facts { root: false, ..able() }, "a node needs root")]
    #[case::container(Facts { capabilities: 1 << 12, ..able() }, "root lacks CAP_SYS_ADMIN")]
    #[case::no_ip(Facts { missing: vec![("ip", "iproute2")], ..able() }, "install the package iproute2")]
    #[case::own_runc(Facts { runc: Some("runc version 1.5.2\n".to_owned()), ..able() }, "without seccomp")]
    #[case::no_kernel_log(Facts { kernel_log: false, ..able() }, "/dev/kmsg")]
    #[case::read_only(Facts { mounts: UNIFIED.replace("rw", "ro"), ..able() }, "/sys/fs/cgroup is read-only")]
    #[case::container_root(Facts { nested: true, ..able() }, "passes cpuset, cpu, io on to none")]
    #[case::no_cpuset(Facts { unified: "cpu memory pids".to_owned(), ..able() }, "no cgroup controller cpuset")]
    #[case::no_cgroups(Facts { mounts: String::new(), unified: String::new(), ..able() }, "controller cpu, cpuset")]
    fn what_is_missing_is_said(#[case] facts: Facts, #[case] expected: &str) {
        let obstacles = facts.obstacles();
        assert!(obstacles.len() == 1 && obstacles[0].contains(expected), "{obstacles:?}");
    }

    #[test]
    fn capabilities_are_read_as_a_mask() {
        assert_eq!(effective_capabilities("Name:\ta\nCapEff:\t000001fffeffffff\n"), Some(0x0000_01ff_feff_ffff));
    }
}
