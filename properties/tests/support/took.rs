//! Time that each trial took: said where it ends, and again at the end of the test program, the slowest first.
//!
//! The lines at the end begin with `took` and name the test program, so that they can be picked from the output of many.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};

/// Trials that are named at the end.
const SLOWEST: usize = 10;
/// The test program.
const PROGRAM: &str = env!("CARGO_CRATE_NAME");

static TOOK: Mutex<Vec<(Duration, String)>> = Mutex::new(Vec::new());

/// Writes down how long something took when it is dropped, as it is by a panic, too.
struct Timer {
    name: String,
    began: Instant,
}

impl Drop for Timer {
    fn drop(&mut self) {
        let took = self.began.elapsed();
        eprintln!("{PROGRAM}: {} took {:.1} s", self.name, took.as_secs_f64());
        let mut all = TOOK.lock().unwrap_or_else(PoisonError::into_inner);
        all.push((took, std::mem::take(&mut self.name)));
    }
}

/// A trial whose time is taken.
pub(crate) fn trial(name: impl Into<String>, run: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Trial {
    let name = name.into();
    Trial::test(name.clone(), move || {
        let _timer = Timer { name, began: Instant::now() };
        run()
    })
}

/// Prints the slowest trials. Nothing if none ran.
pub(crate) fn print_slowest() {
    let mut all = std::mem::take(&mut *TOOK.lock().unwrap_or_else(PoisonError::into_inner));
    all.sort_by(|(one, _), (other, _)| other.cmp(one));
    for (took, name) in all.iter().take(SLOWEST) {
        println!("took {:>7.1} s  {PROGRAM}  {name}", took.as_secs_f64());
    }
}
