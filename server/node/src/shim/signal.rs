//! Signals by number, real-time ones included, which nix does not name.

use nix::errno::Errno;
use nix::unistd::Pid;

/// What images mean by RTMIN and RTMAX: glibc keeps the kernel's first two for itself.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// Sends a signal to a process; one that is gone needs none.
pub(super) fn send(pid: Pid, signal: i32) -> nix::Result<()> {
    // SAFETY: takes two numbers; touches no memory.
    match Errno::result(unsafe { libc::kill(pid.as_raw(), signal) }) {
        Ok(_) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// The signal that a stop begins with: by name, with or without SIG, or by number. TERM if there is none, or none
/// of that name.
pub(super) fn to_stop(name: Option<&str>) -> i32 {
    name.and_then(number).unwrap_or(libc::SIGTERM)
}

fn number(name: &str) -> Option<i32> {
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    let found = if let Ok(number) = name.parse() {
        number
    } else if let Some(rest) = short.strip_prefix("RTMIN") {
        RTMIN + offset(rest, '+')?
    } else if let Some(rest) = short.strip_prefix("RTMAX") {
        RTMAX - offset(rest, '-')?
    } else {
        let known = format!("SIG{short}").parse::<nix::sys::signal::Signal>();
        known.ok()? as i32
    };
    let real_time = short.starts_with("RT");
    let least = if real_time { RTMIN } else { 1 };
    (least..=RTMAX).contains(&found).then_some(found)
}

/// The number after a sign; nothing is 0.
fn offset(text: &str, sign: char) -> Option<i32> {
    if text.is_empty() {
        return Some(0);
    }
    let digits = text.strip_prefix(sign)?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_signals_are_read_by_name_and_number() {
        for (name, expected) in [
            ("SIGQUIT", libc::SIGQUIT),
            ("int", libc::SIGINT),
            ("9", libc::SIGKILL),
            ("37", 37),
            ("SIGRTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("rtmin+15", 49),
            ("SIGRTMAX-14", 50),
            ("RTMAX", 64),
        ] {
            assert_eq!(to_stop(Some(name)), expected, "{name}");
        }
    }

    #[test]
    fn what_is_no_signal_is_term() {
        let bad = [
            "", "SIG", "NONE", "0", "-1", "65", "RTMIN-1", "RTMIN+31", "RTMIN++1", "RTMAX-31",
            "RTMIN+",
        ];
        for name in bad {
            assert_eq!(to_stop(Some(name)), libc::SIGTERM, "{name}");
        }
        assert_eq!(to_stop(None), libc::SIGTERM);
    }
}
