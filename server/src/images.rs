//! `ctld images`: the images that this machine's worker runs. Works whether or not a server runs.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use node::image::{Image, Images, Progress};

use crate::args::{Directories, ImagesCommand};

/// Why a command on images failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Store(#[from] node::image::Error),
    #[error("no image {0:?} is here; `ctld images list` shows those that are")]
    NotFound(String),
    #[error("can't write the answer: {0}")]
    Output(#[from] io::Error),
}

pub(crate) fn run(command: ImagesCommand) -> Result<(), Error> {
    match command {
        ImagesCommand::Import {
            path,
            name,
            directories,
        } => import(&path, name.as_deref(), &open(&directories)?),
        ImagesCommand::List { directories } => list(&open(&directories)?),
        ImagesCommand::Remove { names, directories } => remove(&names, &open(&directories)?),
    }
}

fn open(directories: &Directories) -> Result<Images, Error> {
    Ok(Images::open(directories.data_dir.join("images"))?)
}

fn import(path: &Path, name: Option<&str>, images: &Images) -> Result<(), Error> {
    let bar = progress_bar();
    let imported = images.import(path, name, &mut |progress: Progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
        bar.set_message(progress.what);
    })?;
    bar.finish_and_clear();
    let mut out = io::stdout().lock();
    for image in imported {
        writeln!(
            out,
            "imported {} ({}, {})",
            image.names.join(", "),
            short(&image),
            megabytes(image.size)
        )?;
    }
    Ok(())
}

fn list(images: &Images) -> Result<(), Error> {
    let images = images.list()?;
    let names = |image: &Image| image.names.join(",");
    let width = images
        .iter()
        .map(|image| names(image).len())
        .max()
        .unwrap_or(0)
        .max(4);
    let mut out = io::stdout().lock();
    writeln!(out, "{:width$}   {:12}   SIZE", "NAME", "ID")?;
    for image in &images {
        writeln!(
            out,
            "{:width$}   {:12}   {}",
            names(image),
            short(image),
            megabytes(image.size)
        )?;
    }
    Ok(())
}

fn remove(names: &[String], images: &Images) -> Result<(), Error> {
    for name in names {
        if images.get(name)?.is_none() {
            return Err(Error::NotFound(name.clone()));
        }
        images.remove(name)?;
        writeln!(io::stdout(), "removed {name}")?;
    }
    Ok(())
}

/// A bar on a terminal; nothing elsewhere, where the line at the end says it all.
fn progress_bar() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {msg}");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// The first twelve digits of the id.
fn short(image: &Image) -> &str {
    let digits = image.id.strip_prefix("sha256:").unwrap_or(&image.id);
    digits.get(..12).unwrap_or(digits)
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
