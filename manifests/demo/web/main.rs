//! The program of the demo's image: a web server that says which pod it is, and a tiny client.
//!
//! ```text
//! web serve        answers on $PORT (8080): / says hello, /healthz says ok
//! web get URL      fetches http://HOST[:PORT]/PATH and prints the body
//! web whoami       prints the pod's name, address and user
//! ```

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};

const USAGE: &str = "usage: web serve | web get URL | web whoami";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["serve"] | [] => serve(),
        ["get", url] => get(url),
        ["whoami"] => io::stdout().write_all(greeting().as_bytes()),
        _ => Err(io::Error::other(USAGE)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("web: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    stop_on_sigterm()?;
    let port = env::var("PORT").unwrap_or_else(|_| "8080".to_owned());
    let listener = TcpListener::bind(format!("0.0.0.0:{port}"))?;
    log(&format!("listening on {}", listener.local_addr()?));
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => drop(thread::spawn(move || {
                if let Err(error) = answer(&stream) {
                    log(&format!("a request failed: {error}"));
                }
            })),
            Err(error) => log(&format!("accept failed: {error}")),
        }
    }
    Ok(())
}

/// The first process of a PID namespace gets no signal that it does not handle.
fn stop_on_sigterm() -> io::Result<()> {
    let signals: SigSet = [Signal::SIGTERM, Signal::SIGINT].into_iter().collect();
    signals.thread_block()?;
    thread::spawn(move || {
        if let Ok(signal) = signals.wait() {
            log(&format!("{signal}, goodbye"));
            std::process::exit(0);
        }
    });
    Ok(())
}

fn answer(mut stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut lines = BufReader::new(stream).take(16 * 1024);
    let mut request = String::new();
    lines.read_line(&mut request)?;
    let mut header = String::new();
    while lines.read_line(&mut header)? > 2 {
        header.clear();
    }
    let path = request.split_whitespace().nth(1).unwrap_or("/");
    let (status, body) = match path {
        "/" => ("200 OK", greeting()),
        "/healthz" => ("200 OK", "ok\n".to_owned()),
        _ => ("404 Not Found", format!("nothing at {path}\n")),
    };
    if path != "/healthz" {
        log(&format!("{} {status}", request.trim_end()));
    }
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn get(url: &str) -> io::Result<()> {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = match authority.contains(':') {
        true => authority.to_owned(),
        false => format!("{authority}:80"),
    };
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        stream,
        "GET /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split_whitespace().nth(1).unwrap_or("?");
    io::stdout().write_all(body.as_bytes())?;
    match status {
        "200" => Ok(()),
        _ => Err(io::Error::other(format!("{url} answered {status}"))),
    }
}

fn greeting() -> String {
    let variable = |name: &str| env::var(name).unwrap_or_else(|_| "unknown".to_owned());
    format!(
        "Hello from pod {}, address {}, on node {}.\n{}\n",
        variable("POD_NAME"),
        variable("POD_IP"),
        variable("NODE_NAME"),
        variable("GREETING"),
    )
}

fn log(line: &str) {
    // A closed stdout must not end the server.
    let _ = writeln!(io::stdout(), "{line}");
}
