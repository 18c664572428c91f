//! The program in the tests' images: static, compiled by the tests themselves, a few commands that tell what they see.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::exit;

unsafe extern "C" {
    fn pause() -> i32;
    fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
    fn unshare(flags: i32) -> i32;
    fn isatty(fd: i32) -> i32;
    fn kill(pid: i32, signal: i32) -> i32;
}

extern "C" fn end(_: i32) {
    exit(7)
}

fn status(names: &[&str]) {
    let text = std::fs::read_to_string("/proc/self/status").expect("status");
    for line in text.lines().filter(|line| names.iter().any(|name| line.starts_with(name))) {
        println!("{line}");
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match &words[1..] {
        ["echo", rest @ ..] => println!("{}", rest.join(" ")),
        ["both"] => {
            println!("to stdout");
            eprintln!("to stderr");
        }
        ["lines", count] => (0..count.parse::<u32>().expect("number")).for_each(|n| println!("line {n}")),
        ["cat"] => {
            std::io::copy(&mut std::io::stdin(), &mut std::io::stdout()).expect("copied");
        }
        ["cat", path] => match std::fs::read(path) {
            Ok(bytes) => std::io::stdout().write_all(&bytes).expect("written"),
            Err(error) => failed(error),
        },
        ["write", path, text] => {
            if let Err(error) = std::fs::write(path, text) {
                failed(error)
            }
        }
        ["env"] => std::env::vars().for_each(|(name, value)| println!("{name}={value}")),
        ["cwd"] => println!("{}", std::env::current_dir().expect("cwd").display()),
        ["status"] => status(&["Uid", "Gid", "Groups", "Cap", "NoNewPrivs", "Seccomp:", "SigBlk"]),
        ["fds"] => {
            let mut fds: Vec<String> = std::fs::read_dir("/proc/self/fd")
                .expect("fds")
                .filter_map(|entry| {
                    let path = entry.ok()?.path();
                    // The one that reads this folder is gone by now.
                    std::fs::read_link(&path).ok()?;
                    let target = std::fs::read_link(&path).ok()?;
                    (!target.starts_with("/proc")).then(|| path.file_name().map(|name| name.to_string_lossy().into_owned()))?
                })
                .collect();
            fds.sort();
            println!("{}", fds.join(" "));
        }
        ["processes"] => {
            let count = std::fs::read_dir("/proc")
                .expect("proc")
                .flatten()
                .filter(|entry| entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()))
                .count();
            println!("{count}");
        }
        ["exit", code] => exit(code.parse().expect("number")),
        ["die", number] => unsafe {
            kill(std::process::id() as i32, number.parse().expect("number"));
        },
        ["unshare"] => match unsafe { unshare(0x1000_0000) } {
            0 => println!("allowed"),
            _ => println!("{}", std::io::Error::last_os_error()),
        },
        ["tty"] => {
            let mut line = String::new();
            println!("tty {}", unsafe { isatty(0) == 1 && isatty(1) == 1 && isatty(2) == 1 });
            std::io::stdin().read_line(&mut line).expect("a line");
            println!("got {}", line.trim());
        }
        ["wait"] => unsafe {
            signal(15, end);
            signal(37, end);
            println!("waiting");
            loop {
                pause();
            }
        },
        ["allocate", megabytes] => {
            let size = megabytes.parse::<usize>().expect("number") << 20;
            let mut bytes = vec![0u8; size];
            bytes.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
            println!("allocated {}", bytes.len());
        }
        ["serve", port] => {
            let listener = TcpListener::bind(format!("0.0.0.0:{port}")).expect("bind");
            println!("listening");
            for stream in listener.incoming() {
                let mut stream = stream.expect("accept");
                let peer = stream.peer_addr().expect("peer").ip();
                write!(stream, "hello {peer}").expect("write");
            }
        }
        ["fetch", address] => match TcpStream::connect(address) {
            Ok(mut stream) => {
                let mut text = String::new();
                stream.read_to_string(&mut text).expect("read");
                println!("{text}");
            }
            Err(error) => failed(error),
        },
        other => {
            eprintln!("unknown command {other:?}");
            exit(2)
        }
    }
}

fn failed(error: std::io::Error) -> ! {
    println!("{error}");
    exit(1)
}
