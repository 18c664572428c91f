//! `demo-pack PROGRAM DIR`: packs a static program as the image `demo-web:1.0`, an OCI layout in DIR.

use std::env;
use std::path::Path;
use std::process::ExitCode;

use demo::image::{Entry, Image};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [program, directory] = arguments.as_slice() else {
        eprintln!("usage: demo-pack PROGRAM DIR");
        return ExitCode::from(2);
    };
    let image = Image {
        name: "demo-web:1.0".to_owned(),
        entries: vec![
            Entry::File("web".to_owned(), 0o755, program.into()),
            Entry::Directory("tmp".to_owned(), 0o1777),
        ],
        entrypoint: vec!["/web".to_owned()],
        command: vec!["serve".to_owned()],
        env: vec!["PATH=/".to_owned()],
        user: "65532:65532".to_owned(),
        working_dir: "/".to_owned(),
    };
    match image.pack(Path::new(directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo-pack: can't pack {program} into {directory}: {error}");
            ExitCode::FAILURE
        }
    }
}
