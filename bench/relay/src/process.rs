//! What the system says of a process.

use std::fs;

use rustix::{
    param::{clock_ticks_per_second, page_size},
    process::{Resource, getrlimit, setrlimit},
};

/// Lets this process have as many files open as it may; children inherit it.
pub(crate) fn raise_file_limit() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("the soft limit may be raised to the hard one");
    limit.current.unwrap_or(u64::MAX)
}

/// Memory that a process has in use, in bytes.
pub(crate) fn resident(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).expect("the process lives");
    let pages: u32 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number of pages");
    let page = u32::try_from(page_size()).expect("a few thousand bytes");
    f64::from(pages) * f64::from(page)
}

/// Processor time that a process has used, in seconds.
pub(crate) fn cpu(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process lives");
    // The name in brackets may hold spaces; what follows it does not.
    let rest = text.rsplit_once(") ").expect("a name in brackets").1;
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks: u32 = fields[11..13].iter().map(|field| field.parse::<u32>().expect("a number of ticks")).sum();
    let per_second = u32::try_from(clock_ticks_per_second()).expect("usually a hundred");
    f64::from(ticks) / f64::from(per_second)
}
