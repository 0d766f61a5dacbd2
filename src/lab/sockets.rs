//! The TCP sockets of a host, from the kernel's own table: looking there sends no packet.

use std::fs;
use std::io;

/// States of a socket as the table writes them (include/net/tcp_states.h).
const TIME_WAIT: &str = "06";
const LISTEN: &str = "0A";

/// Whether a socket of the calling thread's network namespace listens on a TCP port.
///
/// # Errors
/// When `/proc` cannot be read.
pub(super) fn listening(port: u16) -> io::Result<bool> {
    Ok(tables()?.iter().any(|table| lists_listener(table, port)))
}

/// Whether a process still has a connection open in the calling thread's network namespace. What the kernel alone is
/// still closing does not count.
///
/// # Errors
/// When `/proc` cannot be read.
pub(super) fn connected() -> io::Result<bool> {
    Ok(tables()?.iter().any(|table| lists_connection(table)))
}

fn tables() -> io::Result<[String; 2]> {
    let v4 = fs::read_to_string("/proc/thread-self/net/tcp")?;
    // Absent where the kernel has no IPv6.
    let v6 = fs::read_to_string("/proc/thread-self/net/tcp6").unwrap_or_default();
    Ok([v4, v6])
}

fn lists_listener(table: &str, port: u16) -> bool {
    rows(table).any(|row| row.state == LISTEN && row.port == port)
}

fn lists_connection(table: &str) -> bool {
    rows(table).any(|row| row.state != LISTEN && row.state != TIME_WAIT && !row.orphaned)
}

/// One socket.
struct Row<'t> {
    port: u16,
    state: &'t str,
    /// No process holds it any more.
    orphaned: bool,
}

/// The columns are `sl local_address rem_address st queues timer retransmissions uid timeout inode …`, ports in
/// hexadecimal; the inode of an orphan is 0 (proc(5), net/ipv4/tcp_ipv4.c).
fn rows(table: &str) -> impl Iterator<Item = Row<'_>> {
    table.lines().skip(1).filter_map(|line| {
        let mut columns = line.split_ascii_whitespace().skip(1);
        let (_, port) = columns.next()?.rsplit_once(':')?;
        let state = columns.nth(1)?;
        let orphaned = columns.nth(5) == Some("0");
        Some(Row { port: u16::from_str_radix(port, 16).ok()?, state, orphaned })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the kernel prints it.
    const HEADER: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
    const LISTENER: &str = "   0: 00000000:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 20612 1 0 100 0 0 10 0\n";
    const ESTABLISHED: &str = "   1: 0100007F:0BB9 0100007F:0BB8 01 00000000:00000000 00:00000000 00000000     0        0 20613 1 0 100 0 0 10 0\n";
    const ORPHAN_IN_FIN_WAIT: &str = "   2: 0100007F:0BBA 0100007F:0BB8 04 00000000:00000000 01:00000014 00000000     0        0 0 1 0 100 0 0 10 0\n";
    const IN_TIME_WAIT: &str =
        "   3: 0100007F:0BBB 0100007F:0BB8 06 00000000:00000000 03:000003E8 00000000     0        0 0 3 0\n";

    fn table(rows: &[&str]) -> String {
        [&[HEADER], rows].concat().concat()
    }

    #[test]
    fn only_a_listener_counts_as_listening() {
        let table = table(&[LISTENER, ESTABLISHED]);
        assert!(lists_listener(&table, 3000));
        assert!(!lists_listener(&table, 3001));
        let v6 = format!(
            "{HEADER}   0: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A 00000000:00000000\n"
        );
        assert!(lists_listener(&v6, 443));
        assert!(!lists_listener("", 443));
        assert!(!lists_listener("header\n   0: nonsense\n", 443));
    }

    #[test]
    fn only_what_a_process_holds_counts_as_connected() {
        assert!(lists_connection(&table(&[LISTENER, ESTABLISHED])));
        assert!(!lists_connection(&table(&[LISTENER, ORPHAN_IN_FIN_WAIT, IN_TIME_WAIT])));
        assert!(!lists_connection(""));
    }
}
