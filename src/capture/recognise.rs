//! What an input is: by its first bytes, through any compression.

use std::fmt::Write;
use std::io::{self, Read};

use super::classic::{self, Classic};
use super::compression::{Damage, Method, Unpacker, is_skippable};
use super::pcapng::{self, Pcapng};
use super::read_ahead::{Interrupted, ReadAhead};
use super::window::Window;
use super::{CaptureError, Interrupt};

/// What is refused by name.
struct Refused {
    /// Its first bytes.
    start: &'static [u8],
    packed: &'static str,
    /// The command that unpacks a file, whose name comes last, to standard output.
    from_file: &'static str,
    /// The command that unpacks standard input.
    from_pipe: &'static str,
}

const fn refused(
    start: &'static [u8],
    packed: &'static str,
    from_file: &'static str,
    from_pipe: &'static str,
) -> Refused {
    Refused { start, packed, from_file, from_pipe }
}

const REFUSED: [Refused; 8] = [
    refused(b"BZh", "bzip2-compressed", "bzip2 -dc", "bzip2 -dc"),
    refused(b"PK\x03\x04", "a zip archive", "unzip -p", "funzip"),
    refused(b"7z\xbc\xaf\x27\x1c", "a 7z archive", "7z x -so", "cat > saved.7z; 7z x -so saved.7z"),
    refused(b"\x02\x21\x4c\x18", "lz4-compressed in the legacy format", "lz4 -dc", "lz4 -dc"),
    refused(b"\x1f\x9d", "compressed by compress(1)", "gzip -dc", "gzip -dc"),
    refused(b"\x1f\xa0", "compressed by compress(1)", "gzip -dc", "gzip -dc"),
    refused(b"LZIP", "lzip-compressed", "lzip -dc", "lzip -dc"),
    // Properties as all encoders set them, then a dictionary of whole 64 KiB.
    refused(b"\x5d\0\0", "lzma-compressed", "xz -dc", "xz -dc"),
];
/// Told by what follows the name of its first member (POSIX.1-2001, ustar).
const TAR: Refused = refused(b"ustar", "a tar archive", "tar -xOf", "tar -xOf -");
const TAR_MARK_AT: usize = 257;

/// Compressions undone one inside the other, as where a log rotation compresses what tcpdump's -z had compressed.
const MAX_METHODS: usize = 2;

/// The format of a capture.
pub(super) enum Format {
    Classic(Classic),
    Pcapng(Pcapng),
}

/// An input that is a capture.
pub(super) struct Recognised {
    /// Stands at the first record.
    pub(super) window: Window,
    pub(super) format: Format,
    /// The compressions undone, outermost first.
    pub(super) methods: Vec<Method>,
}

/// Finds out what the input is, and takes the file header of a classic capture.
pub(super) fn recognise(
    name: &str,
    input: Box<dyn Read + Send>,
    interrupt: &Interrupt,
) -> Result<Recognised, CaptureError> {
    let mut window = Window::new(input);
    let mut methods = Vec::new();
    loop {
        let mut fill = |wanted| {
            window
                .fill(wanted)
                .map(|present| present.min(wanted))
                .map_err(|error| broken_start(name, window.offset(), error))
        };
        if fill(1)? == 0 {
            return Err(CaptureError::Empty { name: content_name(name, &methods) });
        }
        let present = fill(classic::FILE_HEADER_LEN)?;
        let start = &window.available()[..present];
        if start.first_chunk().copied().is_some_and(is_skippable) && present >= 8 {
            let len = u32::from_le_bytes([start[4], start[5], start[6], start[7]]);
            window.skip(8 + u64::from(len)).map_err(|error| broken_start(name, window.offset(), error))?;
            continue;
        }
        let Some(method) = Method::recognise(start) else { break };
        if methods.len() == MAX_METHODS {
            methods.push(method);
            return Err(CaptureError::CompressedTooOften {
                name: spoken_name(name),
                methods: layers(&methods),
                limit: MAX_METHODS,
            });
        }
        methods.push(method);
        let packed = window.into_input();
        let unpacked = ReadAhead::start(move || Unpacker::new(method, packed), interrupt.clone())
            .map_err(|source| CaptureError::Open { name: spoken_name(name), source })?;
        window = Window::new(Box::new(unpacked));
    }
    let format = format(name, &methods, &mut window)?;
    Ok(Recognised { window, format, methods })
}

/// The format by the bytes that are there: as many as a file header has, or all.
fn format(name: &str, methods: &[Method], window: &mut Window) -> Result<Format, CaptureError> {
    let available = window.available();
    let present = available.len().min(classic::FILE_HEADER_LEN);
    let start = &available[..present];
    let header_cut = |needed| CaptureError::HeaderCut { name: content_name(name, methods), present, needed };
    if let Some(magic) = start.first_chunk().copied().and_then(Classic::recognise) {
        if present < classic::FILE_HEADER_LEN {
            return Err(header_cut(classic::FILE_HEADER_LEN));
        }
        let classic = Classic::new(magic, start);
        window.take(classic::FILE_HEADER_LEN);
        return Ok(Format::Classic(classic));
    }
    if start.starts_with(&pcapng::SECTION_HEADER.to_le_bytes()) {
        if present < pcapng::SECTION_START_LEN {
            return Err(header_cut(pcapng::SECTION_START_LEN));
        }
        if let Some(pcapng) = Pcapng::recognise(start) {
            return Ok(Format::Pcapng(pcapng));
        }
    }
    let is_tar = available.get(TAR_MARK_AT..).is_some_and(|rest| rest.starts_with(TAR.start));
    let refused = REFUSED.iter().find(|refused| start.starts_with(refused.start));
    if let Some(refused) = refused.or(is_tar.then_some(&TAR)) {
        return Err(CaptureError::Compressed {
            name: content_name(name, methods),
            packed: refused.packed,
            unpack: unpack_command(name, methods, refused),
        });
    }
    let first_bytes = start.iter().take(8).fold(String::new(), |mut text, byte| {
        let space = if text.is_empty() { "" } else { " " };
        let _ = write!(text, "{space}{byte:02x}");
        text
    });
    Err(CaptureError::NotACapture { name: content_name(name, methods), first_bytes })
}

/// The command that undoes what was undone here, then what is not.
fn unpack_command(name: &str, methods: &[Method], refused: &Refused) -> String {
    if methods.is_empty() && name != "-" {
        return format!("{} {name}", refused.from_file);
    }
    let mut steps: Vec<String> = methods.iter().map(|method| format!("{} -dc", method.name())).collect();
    steps.push(refused.from_pipe.to_owned());
    if name == "-" {
        steps.insert(0, "...".to_owned());
    } else {
        steps[0] = format!("{} {name}", steps[0]);
    }
    steps.join(" | ")
}

/// Why an input cannot be read further.
pub(super) enum Broken {
    /// It is compressed, and damaged or cut.
    Damage(Damage),
    /// The user wants no more.
    Interrupted,
    /// What the system said.
    Failure(io::Error),
}

impl Broken {
    /// Looks into an error for what this module's sources put there.
    pub(super) fn of(error: io::Error) -> Self {
        let inner = error.get_ref();
        if let Some(damage) = inner.and_then(|inner| inner.downcast_ref::<Damage>()) {
            Self::Damage(damage.clone())
        } else if inner.is_some_and(|inner| inner.is::<Interrupted>()) {
            Self::Interrupted
        } else {
            Self::Failure(error)
        }
    }
}

fn broken_start(name: &str, offset: u64, error: io::Error) -> CaptureError {
    let name = spoken_name(name);
    match Broken::of(error) {
        Broken::Damage(damage) => {
            CaptureError::Damaged { name, damage: damage.to_string(), remedy: damage.remedy() }
        }
        Broken::Interrupted => CaptureError::Interrupted { name },
        Broken::Failure(source) => CaptureError::Read { name, offset, source },
    }
}

/// The compressions around a capture in words, outermost first: `gzip`, `gzip around zstd`.
pub(super) fn layers(methods: &[Method]) -> String {
    methods.iter().map(|method| method.name()).collect::<Vec<_>>().join(" around ")
}

/// The name as a sentence needs it.
pub(super) fn spoken_name(name: &str) -> String {
    if name == "-" { "standard input".to_owned() } else { name.to_owned() }
}

/// The name of what is wrong: the input, or what it unpacks to.
fn content_name(name: &str, methods: &[Method]) -> String {
    let name = spoken_name(name);
    if methods.is_empty() {
        name
    } else {
        format!("the content of {name} (unpacked from {})", layers(methods))
    }
}
