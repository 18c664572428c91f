//! `--eviction-hard`: how little may be left of a resource before the node counts as short of it.
//!
//! The syntax and the signals are the kubelet's: `memory.available<100Mi,nodefs.available<10%`. The data
//! directory holds images as well as pods, so `imagefs.` and `nodefs.` look at the same file system.

use std::str::FromStr;

use api::meta::quantity::Quantity;

/// The thresholds of a node. A signal that is not named is not looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thresholds(Vec<(Signal, Amount)>);

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Memory,
    Disk,
    Inodes,
    Processes,
}

/// How much.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Amount {
    /// Bytes, inodes or processes.
    Absolute(u64),
    /// Of all there are, from 0 to 1.
    Share(f64),
}

/// The names that the kubelet has for the signals.
const SIGNALS: &[(&str, Signal)] = &[
    ("memory.available", Signal::Memory),
    ("nodefs.available", Signal::Disk),
    ("imagefs.available", Signal::Disk),
    ("nodefs.inodesFree", Signal::Inodes),
    ("imagefs.inodesFree", Signal::Inodes),
    ("pid.available", Signal::Processes),
];

/// Why a text is no list of thresholds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not of the form `signal<quantity`.
    #[error("invalid threshold {0:?}: expected SIGNAL<QUANTITY, such as memory.available<100Mi")]
    Form(String),
    /// The signal is unknown.
    #[error("unknown signal {0:?}: the signals are {names}", names = names())]
    Signal(String),
    /// The quantity is neither an amount nor a percentage.
    #[error(
        "invalid quantity {0:?}: expected an amount such as 100Mi, or a percentage from 0% to 100%"
    )]
    Quantity(String),
}

fn names() -> String {
    let names: Vec<&str> = SIGNALS.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

impl FromStr for Thresholds {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parts = text.split(',').map(str::trim).filter(|p| !p.is_empty());
        parts.map(threshold).collect::<Result<_, _>>().map(Self)
    }
}

fn threshold(text: &str) -> Result<(Signal, Amount), Error> {
    let form = || Error::Form(text.to_owned());
    let (name, quantity) = text.split_once('<').ok_or_else(form)?;
    let known = SIGNALS.iter().find(|(known, _)| *known == name.trim());
    let (_, signal) = known.ok_or_else(|| Error::Signal(name.trim().to_owned()))?;
    let invalid = || Error::Quantity(quantity.trim().to_owned());
    let amount = match quantity.trim().strip_suffix('%') {
        Some(percent) => {
            let percent: f64 = percent.parse().map_err(|_| invalid())?;
            if !(0.0..=100.0).contains(&percent) {
                return Err(invalid());
            }
            Amount::Share(percent / 100.0)
        }
        None => {
            let quantity = Quantity::parse(quantity).map_err(|_| invalid())?;
            Amount::Absolute(u64::try_from(quantity.value()).map_err(|_| invalid())?)
        }
    };
    Ok((*signal, amount))
}

impl Thresholds {
    /// Whether fewer than the threshold are left of all there are.
    pub(crate) fn is_short(&self, signal: Signal, left: u64, all: u64) -> bool {
        left < self.reserve(signal, all)
    }

    /// How much of all there is must be left: nodes don't give that to pods.
    pub(crate) fn reserve(&self, signal: Signal, all: u64) -> u64 {
        let amounts = self.0.iter().filter(|(known, _)| *known == signal);
        let reserves = amounts.map(|(_, amount)| match amount {
            Amount::Absolute(amount) => *amount,
            // Rounding to a byte is exact enough.
            Amount::Share(share) => (all as f64 * share) as u64,
        });
        reserves.max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Thresholds {
        text.parse().expect("thresholds")
    }

    #[test]
    fn a_resource_is_short_below_its_strictest_threshold() {
        let thresholds = read("memory.available<100Mi, nodefs.available<10%,imagefs.available<15%");
        let mebibytes = |n: u64| n << 20;
        assert!(thresholds.is_short(Signal::Memory, mebibytes(99), mebibytes(1000)));
        assert!(!thresholds.is_short(Signal::Memory, mebibytes(100), mebibytes(1000)));
        assert!(thresholds.is_short(Signal::Disk, 149, 1000));
        assert!(!thresholds.is_short(Signal::Disk, 150, 1000));
        assert!(!thresholds.is_short(Signal::Inodes, 0, 1000));
        assert_eq!(read("").reserve(Signal::Memory, 1000), 0);
        assert!(!read("nodefs.available<0%").is_short(Signal::Disk, 0, 1000));
    }

    #[test]
    fn what_is_no_threshold_is_told_so() {
        for (text, told) in [
            ("memory.available", "SIGNAL<QUANTITY"),
            ("memory.free<1Gi", "unknown signal \"memory.free\""),
            ("memory.available<much", "invalid quantity \"much\""),
            ("memory.available<-1", "invalid quantity \"-1\""),
            ("nodefs.available<101%", "invalid quantity \"101%\""),
        ] {
            let error = text.parse::<Thresholds>().expect_err(text).to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
