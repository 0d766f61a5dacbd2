//! `head -c N` of every capture, for every N: all whole records, a reason, and never a panic.

use finrace::capture::CaptureError;

use super::read;
use super::recipes::all;

/// Bytes after which every format and compression is known for what it is.
const LONGEST_MAGIC: usize = 8;

#[test]
fn a_capture_cut_anywhere_gives_all_whole_records_and_a_reason() {
    for recipe in all() {
        let (bytes, boundaries) = (recipe.bytes(), recipe.boundaries());
        let (whole, _) = read(&bytes).expect(recipe.name);
        let mut most = 0;
        for len in 0..bytes.len() {
            let cut = format!("{} cut at {len}", recipe.name);
            let (records, summary) = match read(&bytes[..len]) {
                Ok(read) => read,
                Err(error) => {
                    assert_eq!(most, 0, "{cut}: records were there before, now {error}");
                    // Skippable frames at the start say nothing of what comes.
                    let start = boundaries.iter().rev().find(|end| **end <= len).copied().unwrap_or(0);
                    assert_clear(&error, len - start, &cut);
                    continue;
                }
            };
            assert!(records.len() <= whole.len() && records == whole[..records.len()], "{cut}");
            assert!(records.len() >= most, "{cut}: fewer records than of a shorter piece");
            most = records.len();
            // At a boundary the file is a whole one, only shorter.
            assert_eq!(
                summary.truncated.is_none(),
                boundaries.contains(&len),
                "{cut}: {:?}",
                summary.truncated
            );
            if let Some(reason) = summary.truncated {
                assert!(reason.ends_with(&format!("(whole records before it: {most})")), "{cut}: {reason}");
            }
        }
    }
}

/// Says that the file is too short, or that so few bytes tell nothing.
fn assert_clear(error: &CaptureError, len: usize, cut: &str) {
    let is_clear = match error {
        CaptureError::Empty { .. } | CaptureError::HeaderCut { .. } | CaptureError::Damaged { .. } => true,
        CaptureError::NotACapture { .. } => len < LONGEST_MAGIC,
        _ => false,
    };
    assert!(is_clear && error.to_string().contains("test"), "{cut}: {error}");
}

#[test]
fn a_changed_byte_anywhere_is_survived() {
    for recipe in all() {
        let bytes = recipe.bytes();
        // Unpacking takes a thread each time.
        let is_packed = recipe.format.contains(", in ");
        for at in (0..bytes.len()).step_by(if is_packed { 3 } else { 1 }) {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            match read(&changed) {
                Ok((records, summary)) => {
                    assert_eq!(summary.packets, records.len() as u64, "{} changed at {at}", recipe.name);
                }
                // The input is in memory: a failure to read it is a decoder that broke down.
                Err(error @ CaptureError::Read { .. }) => {
                    panic!("{} changed at {at}: {error:?}", recipe.name)
                }
                Err(_) => {}
            }
        }
    }
}
