//! Which files are one ring, by their names: a counter, a time, or both tell them apart.
//!
//! `tcpdump -C` appends a counter (`cap.pcap`, `cap.pcap1`; padded with zeros under `-W`), `-G` fills a time into the name,
//! dumpcap writes both (`x_00003_20260914124107.pcapng`). Names only say what may belong together; times decide.

use std::path::{Path, PathBuf};

/// Endings of compressed files, which say nothing about the ring.
const COMPRESSIONS: [&str; 5] = [".gz", ".zst", ".lz4", ".xz", ".zstd"];

/// The name of a capture file, taken apart at its runs of digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    folder: PathBuf,
    whole: String,
    // One more than there are runs; the last run, which may be empty, ends the name.
    texts: Vec<String>,
    runs: Vec<Run>,
}

/// A run of digits.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    digits: String,
    is_time: bool,
}

/// Numbers that the names of two neighbours skip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Skipped {
    first: u64,
    last: u64,
    step: u64,
    width: usize,
}

impl Skipped {
    /// `number 3 by the names`, `numbers 3 to 7 by the names`; padded as the names are.
    pub fn words(&self) -> String {
        let Skipped { first, last, width, .. } = self;
        if first == last {
            format!("number {first:0width$} by the names")
        } else {
            format!("numbers {first:0width$} to {last:0width$} by the names")
        }
    }

    /// How many files are missing.
    pub fn files(&self) -> u64 {
        (self.last - self.first) / self.step + 1
    }
}

impl Name {
    /// Takes the name of a file apart.
    pub fn of(path: &Path) -> Name {
        let whole = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut base = whole.as_str();
        while let Some(shorter) = COMPRESSIONS.iter().find_map(|ending| base.strip_suffix(ending)) {
            base = shorter;
        }
        let (mut texts, mut runs) = (vec![String::new()], Vec::new());
        let mut in_digits = false;
        for letter in base.chars() {
            if letter.is_ascii_digit() {
                if !in_digits {
                    runs.push(Run { digits: String::new(), is_time: false });
                }
                runs.last_mut().into_iter().for_each(|run| run.digits.push(letter));
            } else {
                if in_digits {
                    texts.push(String::new());
                }
                texts.last_mut().into_iter().for_each(|text| text.push(letter));
            }
            in_digits = letter.is_ascii_digit();
        }
        if !in_digits {
            runs.push(Run { digits: String::new(), is_time: false });
        }
        for at in 0..runs.len() {
            runs[at].is_time = is_time(&texts, &runs, at);
        }
        Name { folder: path.parent().unwrap_or(Path::new("")).to_owned(), whole, texts, runs }
    }

    /// What all files of one ring have in common, and others may have, too: the folder and the text between digits.
    pub fn skeleton(&self) -> (&Path, &[String]) {
        (&self.folder, &self.texts)
    }

    /// Whether two names can be those of two files of one ring: they have one skeleton and differ in a time, in one other
    /// run of digits (the counter), or in both.
    pub fn is_kin(&self, other: &Name) -> bool {
        self.skeleton() == other.skeleton()
            && self.runs.len() == other.runs.len()
            && self.differing(other).count() <= 1
    }

    /// Letters that both names begin with.
    pub fn common_prefix(&self, other: &Name) -> usize {
        self.whole.chars().zip(other.whole.chars()).take_while(|(one, two)| one == two).count()
    }

    /// The numbers missing between this file and its successor, where all names of the family are known: the counter of
    /// the successor is neither the next one nor, where the ring begins again, the lowest.
    pub fn skipped<'n>(&self, next: &Name, family: impl IntoIterator<Item = &'n Name>) -> Option<Skipped> {
        let at = self.differing(next).next()?;
        let mut numbers: Vec<u64> =
            family.into_iter().filter(|name| name.is_kin(next)).filter_map(|name| name.number(at)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        // A counter of minutes may go up in fives.
        let step = match numbers.len() {
            0..=2 => 1,
            _ => numbers.windows(2).map(|pair| pair[1] - pair[0]).min()?,
        };
        let (from, to) = (self.number(at)?, next.number(at)?);
        let mut first = if to > from { from.checked_add(step)? } else { *numbers.first()? };
        let mut last = to.checked_sub(step)?;
        // What is there at another time is not missing.
        while first < to && numbers.binary_search(&first).is_ok() {
            first += step;
        }
        while last > first && numbers.binary_search(&last).is_ok() {
            last -= step;
        }
        let width = match (self.runs.get(at), next.runs.get(at)) {
            (Some(one), Some(two)) if one.digits.len() == two.digits.len() => one.digits.len(),
            _ => 0,
        };
        (first < to).then_some(Skipped { first, last, step, width })
    }

    /// All its numbers, to put files in order whose times are the same; without sense where other text differs.
    pub fn numbers(&self) -> Vec<Option<u64>> {
        (0..self.runs.len()).map(|at| self.number(at)).collect()
    }

    fn number(&self, at: usize) -> Option<u64> {
        let digits = self.runs.get(at)?.digits.as_str();
        // `tcpdump -C` gives its first file no number.
        if digits.is_empty() { Some(0) } else { digits.parse().ok() }
    }

    /// Places of the runs, other than times, in which two names differ.
    fn differing<'n>(&'n self, other: &'n Name) -> impl Iterator<Item = usize> + 'n {
        self.runs.iter().zip(&other.runs).enumerate().filter_map(|(at, (one, two))| {
            (one.digits != two.digits && !(one.is_time && two.is_time)).then_some(at)
        })
    }
}

/// Whether a run of digits is a time or a part of one: a date with or without the time of day, seconds since 1970, or
/// two digits (or six) behind another part.
fn is_time(texts: &[String], runs: &[Run], at: usize) -> bool {
    let digits = runs[at].digits.as_str();
    let number = |part: &str, range: std::ops::RangeInclusive<u64>| {
        part.parse().is_ok_and(|number: u64| range.contains(&number))
    };
    let year = |part: &str| number(part, 1970..=2099);
    let date = |part: &str| {
        part.len() >= 8 && year(&part[..4]) && number(&part[4..6], 1..=12) && number(&part[6..8], 1..=31)
    };
    // The text before run `at` is `texts[at]` when the name begins with text, as an empty one does, too.
    let follows_time = at > 0 && runs[at - 1].is_time && texts.get(at).is_some_and(|text| text.len() <= 1);
    match digits.len() {
        8 | 12 | 14 => date(digits),
        10 => number(digits, 1_000_000_000..=4_102_444_800),
        4 => year(digits) && runs.get(at + 1).is_some_and(|next| next.digits.len() == 2),
        2 | 6 => follows_time,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::of(Path::new(text))
    }

    fn skipped(names: &[&str]) -> Vec<Option<String>> {
        let names: Vec<Name> = names.iter().map(|text| name(text)).collect();
        names.windows(2).map(|pair| pair[0].skipped(&pair[1], &names).map(|gap| gap.words())).collect()
    }

    #[test]
    fn the_names_of_a_ring_differ_in_a_counter_a_time_or_both() {
        for (one, two) in [
            ("ring0.pcap", "ring1.pcap"),
            ("cap.pcap", "cap.pcap1"),
            ("cap.pcap09", "cap.pcap10"),
            ("x_00003_20260914124107.pcapng", "x_00004_20260914130000.pcapng"),
            ("cap-2026-09-14_12-59-07.pcap", "cap-2026-09-15_00-00-00.pcap"),
            ("cap-20260914-125907.pcap.gz", "cap-20260914-130000.pcap"),
            ("20260914T125907.pcap", "20260914T130000.pcap"),
            ("trace1789389667.pcap", "trace1789393267.pcap"),
        ] {
            assert!(name(one).is_kin(&name(two)) && name(two).is_kin(&name(one)), "{one} {two}");
        }
    }

    #[test]
    fn the_names_of_two_capture_points_are_no_ring() {
        for (one, two) in [
            ("client.pcap", "server.pcap"),
            ("host1_00001.pcap", "host2_00002.pcap"),
            ("here/ring0.pcap", "there/ring1.pcap"),
            ("cap.pcap", "cap.pcapng"),
            ("10.0.0.1-80.pcap", "10.0.0.2-81.pcap"),
        ] {
            assert!(!name(one).is_kin(&name(two)), "{one} {two}");
        }
    }

    #[test]
    fn a_skipped_number_is_a_missing_file() {
        assert_eq!(
            skipped(&["r1.pcap", "r2.pcap", "r4.pcap"]),
            [None, Some("number 3 by the names".to_owned())]
        );
        assert_eq!(skipped(&["r08.pcap", "r12.pcap"]), [Some("numbers 09 to 11 by the names".to_owned())]);
        assert_eq!(skipped(&["cap.pcap", "cap.pcap1", "cap.pcap2"]), [None, None]);
    }

    #[test]
    fn a_ring_that_begins_again_skips_nothing() {
        assert_eq!(skipped(&["r3.pcap", "r4.pcap", "r0.pcap", "r1.pcap"]), [None, None, None]);
        assert_eq!(
            skipped(&["r4.pcap", "r0.pcap", "r2.pcap", "r3.pcap"]),
            [None, Some("number 1 by the names".to_owned()), None]
        );
    }

    #[test]
    fn a_number_that_is_there_at_another_time_is_not_missing() {
        assert_eq!(skipped(&["r1.pcap", "r0.pcap", "r2.pcap"]), [None, None]);
        assert_eq!(
            skipped(&["r1.pcap", "r0.pcap", "r3.pcap"]),
            [None, Some("number 2 by the names".to_owned())]
        );
    }

    #[test]
    fn a_counter_may_go_up_in_steps() {
        assert_eq!(skipped(&["c_00.pcap", "c_05.pcap", "c_10.pcap"]), [None, None]);
        let names = ["c_00.pcap", "c_05.pcap", "c_20.pcap"].map(name);
        let gap = names[1].skipped(&names[2], &names).unwrap();
        assert_eq!((gap.words().as_str(), gap.files()), ("numbers 10 to 15 by the names", 2));
    }

    #[test]
    fn a_number_too_large_to_count_skips_nothing() {
        assert_eq!(skipped(&["r99999999999999999999999.pcap", "r1.pcap"]), [None]);
        assert_eq!(skipped(&["r18446744073709551615.pcap", "r1.pcap"]), [None]);
    }
}
