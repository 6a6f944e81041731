//! Programs that stand still for a while.

/// A program that stands still; goes on when this is dropped.
pub struct Paused {
    holds: Box<dyn Fn() -> bool + Send + Sync>,
    resume: Box<dyn Fn() + Send + Sync>,
}

impl Paused {
    /// For a program of which `holds` tells whether it stands still, and that `resume` lets go on.
    pub fn new(holds: impl Fn() -> bool + Send + Sync + 'static, resume: impl Fn() + Send + Sync + 'static) -> Self {
        Self { holds: Box::new(holds), resume: Box::new(resume) }
    }

    /// True if it does stand still: a program that ended cannot.
    pub fn holds(&self) -> bool {
        (self.holds)()
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        (self.resume)();
    }
}
