//! The namespaces of a node: private mounts and process ids.
//!
//! Inside, the node's directory is `/run/credence`, and its programs are `/run/bin`, wherever both are outside. So all
//! paths are known beforehand, and sockets stay below the 108 bytes that unix(7) allows.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::{fs, io};

use credence_core::file_error::FileError;
use credence_programs::process::path::find_program;
use credence_programs::process::{Process, Program, first_death};
use credence_watch::wait::{self, Progress, WaitError};

use super::config::{HOME, INSIDE, SOCKET};
use super::{NodeError, NodePrograms, PROBE, READY};

/// The first process, given the node's directory and pairs of names and paths of programs. All other
/// processes inside that lose their parent become its children, and the shell reaps them. No mount is noted in
/// `/run/mount` (`-n`), which at first is the machine's and then gone.
const INIT: &str = r#"
set -e
cd "$1"
shift
mount -n -t tmpfs -o mode=0755 credence run
mkdir run/credence run/bin
mount -n --bind . run/credence
while [ $# -gt 1 ]; do
    : > "run/bin/$1"
    mount -n --bind "$2" "run/bin/$1"
    shift 2
done
mount -n --move run /run
cd /run/credence
mount -n --bind lib /var/lib
mount -n --bind log /var/log
for file in $(find sysctl -type f); do
    if [ -e "/proc/sys/${file#sysctl/}" ]; then
        mount -n --bind "$file" "/proc/sys/${file#sysctl/}"
    fi
done
: > ready
sleep infinity &
wait
"#;

/// A way into the namespaces.
pub(super) struct Isolation {
    nsenter: PathBuf,
    holder: u32,
    first: u32,
}

impl Isolation {
    /// Makes the namespaces of the node in `directory`, and gives the process that holds them.
    pub(super) async fn start(directory: &Path, programs: &NodePrograms) -> Result<(Self, Process), NodeError> {
        let missing = |name: &str| NodeError::Unsupported(format!("there is no command {name}"));
        let nsenter = find_program("nsenter").ok_or_else(|| missing("nsenter"))?;
        let unshare = find_program("unshare").ok_or_else(|| missing("unshare"))?;
        let mut arguments: Vec<OsString> = [
            // Without `slave`, a disk that the machine unmounts would stay busy here.
            "--mount",
            "--propagation=slave",
            "--pid",
            "--fork",
            "--mount-proc",
            // The parent-death signal, handed on from unshare, which has it from credence.
            "--kill-child=KILL",
            "sh",
            "-c",
            INIT,
            "credence-node",
        ]
        .map(OsString::from)
        .to_vec();
        arguments.push(directory.into());
        for (name, path) in inside_names(programs) {
            arguments.extend([name.into(), path.into()]);
        }
        let log = directory.join("namespaces.log");
        let environment = BTreeMap::from([("PATH".to_owned(), search_path().into())]);
        let program = Program { name: "node".to_owned(), executable: unshare, arguments, environment, log };
        let holder = [Process::start(&program)?];
        let ready = directory.join("ready");
        let made = wait::poll("the node's namespaces made", READY, PROBE / 5, || async {
            if ready.exists() { Progress::Done(()) } else { Progress::NotYet("not all mounts are there".to_owned()) }
        });
        tokio::select! {
            made = made => made.map_err(|source| NodeError::NotReady {
                name: holder[0].name().to_owned(),
                tail: holder[0].log_tail(),
                source,
            })?,
            death = first_death(&holder) => return Err(death.into()),
        }
        let [holder] = holder;
        let first = child_of(holder.pid()).ok_or_else(|| {
            FileError::of::<NodeError>("find the child of process", Path::new(&holder.pid().to_string()))(
                io::ErrorKind::NotFound.into(),
            )
        })?;
        Ok((Self { nsenter, holder: holder.pid(), first }, holder))
    }

    /// The first process inside, by its id outside.
    pub(super) fn first_process(&self) -> u32 {
        self.first
    }

    /// Command to start a program inside. What is started ends with the namespaces, and not with the process that this
    /// gives, which only waits for it.
    pub(super) fn program(&self, name: &str, arguments: &[&str], log: PathBuf) -> Program {
        let program = format!("/run/bin/{name}");
        let arguments = self.enter().into_iter().chain([program]).chain(arguments.iter().map(|&word| word.to_owned()));
        Program {
            name: name.to_owned(),
            executable: self.nsenter.clone(),
            arguments: arguments.map(OsString::from).collect(),
            environment: environment(),
            log,
        }
    }

    /// Runs a command inside to its end.
    pub(super) async fn run(&self, act: &str, command: &[&str]) -> Result<(), NodeError> {
        let failed = |message: String| NodeError::Command { act: act.to_owned(), message };
        let output = tokio::process::Command::new(&self.nsenter)
            .args(self.enter())
            .args(command)
            .env_clear()
            .envs(environment())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| failed(error.to_string()))?;
        if output.status.success() {
            Ok(())
        } else {
            Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
        }
    }

    /// Waits until containerd answers at its socket.
    pub(super) async fn wait_for_containerd(&self) -> Result<(), WaitError> {
        // Through this link of procfs the mounts of a process can be reached from outside.
        let socket = PathBuf::from(format!("/proc/{}/root{SOCKET}", self.first));
        wait::poll("containerd ready", READY, PROBE, || async {
            match UnixStream::connect(&socket) {
                Ok(_) => Progress::Done(()),
                Err(error) => Progress::NotYet(error.to_string()),
            }
        })
        .await
    }

    fn enter(&self) -> [String; 3] {
        let namespaces = format!("/proc/{}/ns", self.holder);
        // unshare itself is in the mount namespace; of the other it is only the parent, see namespaces(7).
        [format!("--mount={namespaces}/mnt"), format!("--pid={namespaces}/pid_for_children"), "--".to_owned()]
    }
}

/// The path inside of a file in the node's directory.
pub(super) fn inside(directory: &Path, file: &Path) -> String {
    Path::new(INSIDE).join(file.strip_prefix(directory).unwrap_or(file)).display().to_string()
}

fn inside_names(programs: &NodePrograms) -> [(&'static str, &Path); 8] {
    [
        ("containerd", &programs.containerd),
        ("containerd-shim-runc-v2", &programs.shim),
        ("ctr", &programs.ctr),
        ("kubelet", &programs.kubelet),
        ("ptp", &programs.ptp),
        ("host-local", &programs.host_local),
        ("loopback", &programs.loopback),
        ("runc", &programs.runc),
    ]
}

/// The whole environment inside: no proxy, and a home where no `docker login` has ever been.
fn environment() -> BTreeMap<String, OsString> {
    BTreeMap::from([
        ("HOME".to_owned(), HOME.into()),
        ("PATH".to_owned(), format!("/run/bin:{}", search_path()).into()),
    ])
}

/// Directories in which kubelet finds `mount`, among others.
fn search_path() -> String {
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()
}

/// A child of a process. Field 4 of `/proc/PID/stat` is the parent, see proc_pid_stat(5).
fn child_of(parent: u32) -> Option<u32> {
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let of = stat[stat.rfind(')')? + 1..].split_whitespace().nth(1)?;
        (of.parse() == Ok(parent)).then_some(pid)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_found_by_its_parent() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        // Tests of this process may have other children at the same time.
        let found = child_of(std::process::id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found.is_some());
    }

    #[test]
    fn a_file_of_the_node_has_a_path_inside() {
        assert_eq!(inside(Path::new("/a/node"), Path::new("/a/node/b/c")), "/run/credence/b/c");
    }
}
