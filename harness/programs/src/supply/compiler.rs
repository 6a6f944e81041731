//! The C compiler, which Go calls for modules that have sources in C.

use std::process::Stdio;

use tokio::process::Command;

use super::ComponentError;
use super::go::Go;
use super::module::Module;

/// Fails unless what `module` is built with can be: without this, go would say so after minutes.
pub(super) async fn check(go: &Go, module: Module) -> Result<(), ComponentError> {
    if !module.needs_c() {
        return Ok(());
    }
    let failed = |said| ComponentError::NoCompiler { compiler: go.c_compiler.clone(), module: module.name(), said };
    let mut words = go.c_compiler.split_whitespace();
    let output = Command::new(words.next().unwrap_or_default())
        .args(words)
        // A compiler without the headers of the C library is the usual half of an installation.
        .args(["-E", "-include", "stdlib.h", "-x", "c", "/dev/null"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("{}, {}", output.status, said.trim())));
    }
    Ok(())
}
