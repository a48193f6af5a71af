//! What is measured of a path.

use std::fmt;

/// One measured path.
pub struct Path {
    /// Its name in tables and in the baseline.
    pub name: String,
    /// Operations that one call of [`Steps::run`] does.
    pub operations: u64,
    /// Makes what it needs.
    pub make: Box<dyn Fn() -> Box<dyn Steps>>,
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Path({} x {})", self.name, self.operations)
    }
}

impl Path {
    /// A path of these steps.
    pub(crate) fn new<S: Steps + 'static>(
        name: impl Into<String>,
        operations: u64,
        make: impl Fn() -> S + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            operations,
            make: Box::new(move || Box::new(make())),
        }
    }

    /// One whose steps need no preparation.
    pub(crate) fn plain<F: FnMut() + 'static>(
        name: impl Into<String>,
        operations: u64,
        make: impl Fn() -> F + 'static,
    ) -> Self {
        Self::new(name, operations, move || Plain(make()))
    }
}

/// The measured step and what comes before it.
pub trait Steps {
    /// Puts everything where [`Steps::run`] begins; not measured.
    fn prepare(&mut self) {}

    /// Does the operations that are measured, as many as the path says.
    fn run(&mut self);
}

struct Plain<F>(F);

impl<F: FnMut()> Steps for Plain<F> {
    fn run(&mut self) {
        (self.0)();
    }
}
