//! Threads that keep times: those that deliver, send or record at a moment that is measured afterwards.

use std::thread;

use nix::libc;
use nix::sys::prctl;

/// Asks the kernel to wake the calling thread on time, and says whether it may interrupt others for that.
///
/// Timers of ordinary threads may fire up to 50 us late (prctl(2), `PR_SET_TIMERSLACK`), and on processors that are all
/// busy an ordinary thread is now and then run only at the next tick, up to 4 ms later at 250 Hz, whatever its nice value
/// *(measured: one packet in a hundred was more than a millisecond late)*. A real-time thread (sched(7), `SCHED_FIFO`) is
/// run at once. The kernel grants that to root and to users with a limit for it (`RLIMIT_RTPRIO`); for others times are
/// only kept less exactly.
///
/// Where there is a single processor nothing is asked for: the thread would take it from those that it waits for.
pub(super) fn be_punctual() -> bool {
    // Refused by kernels before 2.6.28 only.
    let _ = prctl::set_timerslack(1);
    if !thread::available_parallelism().is_ok_and(|processors| processors.get() > 1) {
        return false;
    }
    // SAFETY: sched_param is a C struct of integers, for which all zeroes is a value.
    let mut lowest: libc::sched_param = unsafe { std::mem::zeroed() };
    lowest.sched_priority = 1;
    // SAFETY: pthread_self is the calling thread, which exists, and the parameters outlive the call.
    unsafe { libc::pthread_setschedparam(libc::pthread_self(), libc::SCHED_FIFO, &lowest) == 0 }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The scheduling policy that the kernel has for the calling thread (proc(5), field 41 of `stat`).
    fn policy() -> i32 {
        let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
        // Fields are counted behind the name, which may hold blanks: the first after it is the third.
        stat.rsplit(')').next().unwrap().split_whitespace().nth(41 - 3).unwrap().parse().unwrap()
    }

    #[test]
    fn only_the_thread_that_asks_is_real_time_and_only_if_it_says_so() {
        let asking = thread::spawn(|| (be_punctual(), policy())).join().unwrap();
        let expected = if asking.0 { libc::SCHED_FIFO } else { libc::SCHED_OTHER };
        assert_eq!((asking.1, policy()), (expected, libc::SCHED_OTHER));
    }
}
