//! Where results go: a file appears whole or not at all, and never in place of what was read or what others made.
//!
//! Every file that finrace writes by a name that a user gave goes through a [`Destination`]. The rules, the same for all
//! commands:
//! - a regular file is written beside its place and renamed when it is whole, so that a full disk or an interrupt leaves
//!   what was there before;
//! - a capture that the same run reads is never replaced, whatever links lead to it;
//! - an existing file is replaced only if it is empty, finrace wrote it and it says so, or `--force` says so;
//! - a link is followed to its file, a device, FIFO or socket is written into and never replaced;
//! - two results of one run never go to one file.

pub(crate) mod signature;

use std::borrow::Cow;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};
use thiserror::Error;

/// Links from link to link that are followed to a file that is not there yet.
const MAX_LINKS: usize = 40;

/// A place where nothing can, or must, be written.
#[derive(Debug, Error)]
pub enum DestinationError {
    /// It is a folder.
    #[error("{} is a folder: name a file in it", .0.display())]
    Folder(PathBuf),
    /// Its folder is not there.
    #[error("there is no folder for {}: make it, or name another file", .0.display())]
    NoFolder(PathBuf),
    /// It is a capture of the same run.
    #[error("{} is read by the same command and would be lost: name another file", .0.display())]
    IsRead(PathBuf),
    /// It is named for another result of the same run.
    #[error("two results cannot both go to {}: name another file for one of them", .0.display())]
    Twice(PathBuf),
    /// Somebody else made it.
    #[error("{} exists, and finrace did not write it: name another file, or replace it with --force", .0.display())]
    Foreign(PathBuf),
    /// It is meant for the files of a run, and holds others.
    #[error("{} holds files that are not those of a run of finrace: an empty or new folder is needed", .0.display())]
    NoRun(PathBuf),
    /// Only a file can hold it.
    #[error("{} cannot go to standard output: name a file", .0)]
    StandardOutput(&'static str),
    /// The system refuses.
    #[error("cannot write {}", path.display())]
    Write {
        /// The place.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The places that one run writes to.
#[derive(Debug, Default)]
pub struct Destinations {
    read: Vec<Identity>,
    claimed: Vec<(PathBuf, Option<Identity>)>,
    force: bool,
}

impl Destinations {
    /// Those of a run that reads these files; with `force`, files that others made may be replaced.
    pub fn new<'p>(read: impl IntoIterator<Item = &'p Path>, force: bool) -> Destinations {
        let read =
            read.into_iter().filter_map(|path| Some(identity(path, &fs::metadata(path).ok()?))).collect();
        Destinations { read, claimed: Vec::new(), force }
    }

    /// Takes a place for one result. Best done before the work begins: nobody waits for nothing then.
    ///
    /// # Errors
    /// The place cannot be used, or must not be.
    pub fn claim(&mut self, path: &Path) -> Result<Destination, DestinationError> {
        let failed = |source| DestinationError::Write { path: path.to_owned(), source };
        let metadata = match fs::metadata(path) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        if metadata.as_ref().is_some_and(Metadata::is_dir) {
            return Err(DestinationError::Folder(path.to_owned()));
        }
        let way = match &metadata {
            Some(metadata) if !metadata.is_file() => Way::Through,
            _ => Way::Replace,
        };
        let place = match (way, &metadata) {
            (Way::Through, _) => path.to_owned(),
            (Way::Replace, Some(_)) => fs::canonicalize(path).map_err(failed)?,
            (Way::Replace, None) => new_place(path)?,
        };
        let identity = metadata.as_ref().map(|metadata| identity(&place, metadata));
        if identity.as_ref().is_some_and(|identity| self.read.contains(identity)) {
            return Err(DestinationError::IsRead(path.to_owned()));
        }
        let is_same = |(known, of): &(PathBuf, Option<Identity>)| {
            *known == place || (identity.is_some() && *of == identity)
        };
        if self.claimed.iter().any(is_same) {
            return Err(DestinationError::Twice(path.to_owned()));
        }
        let replaces = way == Way::Replace && metadata.is_some();
        if replaces && !self.force && !may_be_replaced(&place).map_err(failed)? {
            return Err(DestinationError::Foreign(path.to_owned()));
        }
        self.claimed.push((place.clone(), identity));
        Ok(Destination { named: path.to_owned(), place, way })
    }
}

/// What tells whether two names are one file, without opening it: a FIFO would wait for somebody at its other end.
#[cfg(unix)]
type Identity = (u64, u64);
#[cfg(not(unix))]
type Identity = PathBuf;

#[cfg(unix)]
fn identity(_: &Path, metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn identity(path: &Path, _: &Metadata) -> Identity {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// How a result gets to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A regular file, or none yet: written beside it and renamed.
    Replace,
    /// A device, FIFO or socket: written into.
    Through,
}

/// The place of one result.
#[derive(Debug)]
pub struct Destination {
    named: PathBuf,
    place: PathBuf,
    way: Way,
}

impl Destination {
    /// The place of a result that stands alone.
    ///
    /// # Errors
    /// As [`Destinations::claim`].
    pub fn of(path: &Path) -> Result<Destination, DestinationError> {
        Destinations::default().claim(path)
    }

    /// The place of a file in a folder that finrace has made or taken for itself.
    pub fn of_our_own(path: &Path) -> Destination {
        Destination { named: path.to_owned(), place: path.to_owned(), way: Way::Replace }
    }

    /// Its name, as the user gave it.
    pub fn path(&self) -> &Path {
        &self.named
    }

    /// Writes a whole result, signed as its form allows.
    ///
    /// # Errors
    /// The system refuses; nothing of the result is kept then.
    pub fn write(&self, bytes: &[u8]) -> Result<(), DestinationError> {
        let signed: Cow<'_, [u8]> = signature::signed(&self.named, bytes);
        let mut staged = self.stage()?;
        staged.file().write_all(&signed).map_err(|source| self.failed(source))?;
        staged.keep()
    }

    /// Begins a result that is written bit by bit, and perhaps read again before it is kept.
    ///
    /// # Errors
    /// There can be no file there.
    pub fn stage(&self) -> Result<Staged<'_>, DestinationError> {
        let folder = match self.way {
            Way::Replace => self.place.parent().filter(|parent| !parent.as_os_str().is_empty()),
            Way::Through => None,
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".finrace-").suffix(".unfinished");
        // An ordinary new file, as the user's umask has it.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = match (folder, self.way) {
            (Some(folder), _) => builder.tempfile_in(folder),
            (None, Way::Replace) => builder.tempfile_in("."),
            (None, Way::Through) => builder.tempfile(),
        };
        let (file, path) = file.map(NamedTempFile::into_parts).map_err(|source| self.failed(source))?;
        Ok(Staged { destination: self, file: BufWriter::new(file), path })
    }

    /// An error of writing to it.
    pub fn failed(&self, source: io::Error) -> DestinationError {
        DestinationError::Write { path: self.named.clone(), source }
    }
}

/// A result that is not at its place yet. It is gone if nobody keeps it.
#[derive(Debug)]
pub struct Staged<'d> {
    destination: &'d Destination,
    file: BufWriter<File>,
    path: TempPath,
}

impl Staged<'_> {
    /// What is written to.
    pub fn file(&mut self) -> &mut BufWriter<File> {
        &mut self.file
    }

    /// Where it lies until it is kept.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the result in its place.
    ///
    /// # Errors
    /// The system refuses; nothing of the result is kept then.
    pub fn keep(mut self) -> Result<(), DestinationError> {
        let destination = self.destination;
        let failed = |source| destination.failed(source);
        self.file.flush().map_err(failed)?;
        match destination.way {
            Way::Replace => {
                if let Ok(before) = fs::metadata(&destination.place) {
                    // Who may read it stays as it was.
                    fs::set_permissions(&self.path, before.permissions()).map_err(failed)?;
                }
                self.path.persist(&destination.place).map_err(|error| failed(error.error))
            }
            Way::Through => {
                let mut out = OpenOptions::new().write(true).open(&destination.place).map_err(failed)?;
                io::copy(&mut File::open(&self.path).map_err(failed)?, &mut out).map_err(failed)?;
                out.flush().map_err(failed)
            }
        }
    }
}

/// The file that makes a folder one of runs, whose results another run may replace.
const RUN_MARK: &str = ".finrace-run";

/// Makes a folder for the files of a run, or takes one that is empty or an earlier run's.
///
/// # Errors
/// It holds something else, or cannot be made.
pub fn run_folder(path: &Path) -> Result<(), DestinationError> {
    let failed = |source| DestinationError::Write { path: path.to_owned(), source };
    fs::create_dir_all(path).map_err(failed)?;
    let mark = path.join(RUN_MARK);
    if !mark.exists() {
        if fs::read_dir(path).map_err(failed)?.next().is_some() {
            return Err(DestinationError::NoRun(path.to_owned()));
        }
        fs::write(mark, "The results of the next run of finrace with this folder replace those in it.\n")
            .map_err(failed)?;
    }
    Ok(())
}

/// Where a file that is not there yet will be: behind links that lead nowhere, and by the true name of its folder.
fn new_place(path: &Path) -> Result<PathBuf, DestinationError> {
    let mut place = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Ok(target) = fs::read_link(&place) else { break };
        place = place.parent().unwrap_or(Path::new("")).join(target);
    }
    let no_folder = || DestinationError::NoFolder(path.to_owned());
    let name = place.file_name().ok_or_else(no_folder)?;
    let parent = place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = fs::canonicalize(parent).map_err(|_| no_folder())?;
    Ok(folder.join(name))
}

/// Whether an existing file is empty, or finrace's.
fn may_be_replaced(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut head = Vec::new();
    (&mut file).take(signature::HEAD).read_to_end(&mut head)?;
    let length = file.seek(SeekFrom::End(0))?;
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(length.saturating_sub(signature::TAIL)))?;
    file.read_to_end(&mut tail)?;
    Ok(length == 0 || signature::is_ours(&head, &tail))
}

#[cfg(test)]
mod tests;
