//! A network of the test's own, in which packets are dropped that nobody else sends.

use std::env;
use std::process::{Command, Output};

use libtest_mimic::Failed;

/// The variable that says that this process is in it.
const INSIDE: &str = "CREDENCE_TEST_NETWORK";
/// Table of the rules that drop packets.
const TABLE: &str = "credence";

/// Makes its devices. The API server looks for a default route, though it listens on the loopback device alone.
const ROUTED: &str = "ip link set lo up && ip link add out type veth peer name nowhere && \
     ip addr add 192.0.2.1/24 dev out && ip link set out up && ip link set nowhere up && ip route add default dev out";

/// True in a network of the test's own.
pub(crate) fn is_own() -> bool {
    env::var_os(INSIDE).is_some()
}

/// Runs one trial of this test in a network namespace that leads nowhere.
pub(crate) fn run_inside(trial: &str) -> Result<(), Failed> {
    let mut inside = Command::new("unshare");
    inside.args(["--net", "sh", "-c", &format!("{ROUTED} && exec \"$0\" \"$@\"")]);
    inside.arg(env::current_exe()?).args(["--exact", trial, "--include-ignored"]).env(INSIDE, "1");
    let Output { status, stdout, stderr } = inside.output()?;
    let [stdout, stderr] = [stdout, stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    if status.success() { Ok(()) } else { Err(Failed::from(format!("{stdout}{stderr}"))) }
}

/// Why this machine lets nobody have such a network, if so.
pub(crate) fn missing_tool() -> Option<String> {
    let probes: [&[&str]; 2] = [&["--net", "sh", "-c", ROUTED], &["--net", "nft", "list", "ruleset"]];
    probes.into_iter().find_map(|arguments| {
        let why = match Command::new("unshare").args(arguments).output() {
            Ok(Output { status, .. }) if status.success() => return None,
            Ok(Output { stderr, .. }) => String::from_utf8_lossy(&stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        Some(format!("unshare: {why}; a network of its own needs root, util-linux, iproute2 and nftables"))
    })
}

/// Packets that are lost for as long as this lives.
pub(crate) struct Loss;

impl Loss {
    /// Loses so many percent of all packets from and to a port of TCP.
    ///
    /// # Errors
    /// When the kernel takes no such rule.
    pub(crate) fn of(port: &str, percent: u8) -> Result<Self, Failed> {
        if !is_own() {
            return Err(Failed::from("packets are lost in a network of the test's own alone"));
        }
        let lost = format!("numgen random mod 100 < {percent} drop");
        let rules = format!(
            "add table inet {TABLE}\nadd chain inet {TABLE} input {{ type filter hook input priority 0; }}\n\
             add rule inet {TABLE} input tcp dport {port} {lost}\nadd rule inet {TABLE} input tcp sport {port} {lost}\n"
        );
        let output = Command::new("nft").arg(rules).output()?;
        if output.status.success() {
            Ok(Self)
        } else {
            Err(Failed::from(String::from_utf8_lossy(&output.stderr).into_owned()))
        }
    }
}

impl Drop for Loss {
    fn drop(&mut self) {
        // What is left of it goes with the namespace.
        Command::new("nft").args(["delete", "table", "inet", TABLE]).output().ok();
    }
}
