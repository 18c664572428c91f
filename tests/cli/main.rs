//! The command line, beside kubectl.
