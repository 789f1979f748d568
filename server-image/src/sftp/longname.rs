//! A file's line as `ls -l` has it, which clients of version 3 show as it comes. Times are UTC: a container's zone is seldom another.

use std::io::Write as _;

use jiff::{Timestamp, tz::Offset};
use rustix::fs::{FileType, Stat};

use super::identities::Identities;

/// Seconds after which the year is of more interest than the time of day; half of one, as `ls` has it.
const HALF_A_YEAR: i64 = 365 * 24 * 60 * 60 / 2;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The line. `now`: in seconds since 1970.
pub(super) fn of(name: &[u8], stat: &Stat, identities: &Identities, now: i64) -> Vec<u8> {
    let user = name_or_number(identities.user(stat.st_uid), stat.st_uid);
    let group = name_or_number(identities.group(stat.st_gid), stat.st_gid);
    let mut line = Vec::with_capacity(80 + name.len());
    // A vector takes everything.
    let _ = write!(
        line,
        "{} {:3} {user:<8} {group:<8} {:8} {} ",
        mode(stat.st_mode),
        stat.st_nlink,
        stat.st_size,
        date(stat.st_mtime, now)
    );
    line.extend_from_slice(name);
    line
}

fn name_or_number(name: Option<&[u8]>, number: u32) -> String {
    name.map_or_else(|| number.to_string(), |name| String::from_utf8_lossy(name).into_owned())
}

fn mode(mode: u32) -> String {
    let kind = match FileType::from_raw_mode(mode) {
        FileType::Directory => 'd',
        FileType::Symlink => 'l',
        FileType::CharacterDevice => 'c',
        FileType::BlockDevice => 'b',
        FileType::Fifo => 'p',
        FileType::Socket => 's',
        FileType::RegularFile => '-',
        FileType::Unknown => '?',
    };
    let mut text = String::from(kind);
    // What the set-user, set-group and sticky bits are shown as, in the place of the right to execute.
    for (shift, special, mark) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let has = |bit: u32| mode >> shift & bit != 0;
        text.push(if has(4) { 'r' } else { '-' });
        text.push(if has(2) { 'w' } else { '-' });
        text.push(match (mode & special != 0, has(1)) {
            (true, true) => mark,
            (true, false) => mark.to_ascii_uppercase(),
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

fn date(modified: i64, now: i64) -> String {
    // Years that no calendar here has are as good as the first.
    let at = Offset::UTC.to_datetime(Timestamp::from_second(modified).unwrap_or_default());
    let month = usize::try_from(at.month() - 1).ok().and_then(|month| MONTHS.get(month)).unwrap_or(&"???");
    if (now - HALF_A_YEAR..=now).contains(&modified) {
        format!("{month} {:2} {:02}:{:02}", at.day(), at.hour(), at.minute())
    } else {
        format!("{month} {:2} {:>5}", at.day(), at.year())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_as_ls_shows_them() {
        for (bits, text) in [
            (0o100_644, "-rw-r--r--"),
            (0o040_755, "drwxr-xr-x"),
            (0o120_777, "lrwxrwxrwx"),
            (0o104_755, "-rwsr-xr-x"),
            (0o102_644, "-rw-r-Sr--"),
            (0o041_777, "drwxrwxrwt"),
            (0o010_600, "prw-------"),
            (0o140_600, "srw-------"),
        ] {
            assert_eq!(mode(bits), text);
        }
    }

    #[test]
    fn old_and_coming_files_have_a_year() {
        let now = 1_795_000_000;
        assert_eq!(date(now, now), "Nov 18 11:06");
        assert_eq!(date(now - HALF_A_YEAR - 1, now), "May 19  2026");
        assert_eq!(date(now + 1, now), "Nov 18  2026");
        assert_eq!(date(0, now), "Jan  1  1970");
        assert_eq!(date(i64::MAX, now), "Jan  1  1970");
    }
}
