//! Programs in shell that tests execute.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes a program. A child does it: a file that this process has open for writing cannot be executed, and another test
/// that forks at the same moment would keep it open.
pub fn write(path: &Path, script: &str) {
    let mut child = Command::new("sh")
        .args(["-c", r#"cat > "$1" && chmod +x "$1""#, "sh"])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}
