//! Go templates (`text/template`), with the functions that kubectl has: `exists`, `base64decode` and
//! Go's own.
//!
//! [`lex`] makes tokens, [`parse`] a tree of [`node`]s, [`exec`] walks it over a value and writes, with
//! [`eval`] for the pipelines and [`functions`] for what they call.

mod eval;
mod exec;
mod functions;
mod lex;
mod node;
mod parse;
mod stack;

use std::io::Write;
use std::sync::Arc;

use serde_json::Value;

use super::go::value::written_and_read;

/// kubectl's name for what it is given; messages have it.
const NAME: &str = "output";

/// Trees that are nested deeper than this are dropped where there is room for it.
const SHALLOW: usize = 100;

/// A template, ready to run.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    tree: Arc<Tree>,
    allow_missing: bool,
}

/// A tree that is dropped without overflow, however deep it is.
#[derive(Debug)]
struct Tree(node::Tree);

impl Drop for Tree {
    fn drop(&mut self) {
        if self.0.depth > SHALLOW {
            let tree = std::sync::Mutex::new(std::mem::take(&mut self.0));
            // Dropped inside; a lock that nobody else has is never poisoned.
            stack::run(|_| drop(tree.lock().map(|mut tree| std::mem::take(&mut *tree))));
        }
    }
}

impl Template {
    /// Parses a template; the message is Go's.
    pub(crate) fn parse(text: &str, allow_missing: bool) -> Result<Self, String> {
        let tree = stack::run(|stack| parse::parse(NAME, text, stack))?;
        Ok(Self {
            tree: Arc::new(Tree(tree)),
            allow_missing,
        })
    }

    /// The text it was parsed from.
    pub(crate) fn source(&self) -> &str {
        &self.tree.0.text
    }

    /// Runs the template over a value. What comes before an error is written.
    pub(crate) fn run(
        &self,
        value: &Value,
        out: &mut (dyn Write + Send),
    ) -> Result<(), exec::Stop> {
        let value = written_and_read(value);
        let out = std::sync::Mutex::new(out);
        stack::run(|stack| {
            // Nobody else has the lock.
            let mut out = out
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            exec::run(
                &self.tree.0,
                NAME,
                &value,
                self.allow_missing,
                stack,
                &mut **out,
            )
        })
    }
}

pub(crate) use exec::Stop;

#[cfg(test)]
mod tests;
