//! What the system says of the process, under the names that all programs give it. Read when it is asked for.

use std::fs;

use prometheus::IntGauge;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

/// What is read, and how; nothing is shown of what the system does not tell.
#[derive(Clone, Debug)]
pub(super) struct Process([(IntGauge, Read); 4]);

type Read = fn() -> Option<u64>;

impl Process {
    pub(super) fn new() -> prometheus::Result<Self> {
        let of_process = |name, help, read: Read| IntGauge::new(name, help).map(|gauge| (gauge, read));
        Ok(Self([
            of_process("process_resident_memory_bytes", "Bytes of memory in use.", resident)?,
            of_process("process_open_fds", "Open files and connections.", open_files)?,
            of_process("process_max_fds", "The most files and connections that may be open.", most_files)?,
            of_process("process_start_time_seconds", "When the process began, in Unix seconds.", started)?,
        ]))
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.0.iter().flat_map(|(gauge, _)| gauge.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let shown = self.0.iter().filter_map(|(gauge, read)| {
            gauge.set(i64::try_from(read()?).ok()?);
            Some(gauge.collect())
        });
        shown.flatten().collect()
    }
}

/// proc_pid_statm(5): the second field, in pages.
fn resident() -> Option<u64> {
    let pages: u64 = fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    pages.checked_mul(page_size() as u64)
}

/// One of them is the folder that is read.
fn open_files() -> Option<u64> {
    let open = fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    open.checked_sub(1)
}

fn most_files() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// proc_pid_stat(5): field 22, in ticks since the system began. The name before it may hold anything.
fn started() -> Option<u64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let ticks: u64 = stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()?;
    let system = fs::read_to_string("/proc/stat").ok()?;
    let booted: u64 = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    booted.checked_add(ticks.checked_div(clock_ticks_per_second())?)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    #[test]
    fn the_system_tells_of_the_process() {
        assert!(resident().unwrap() > 1 << 20);
        let before = open_files().unwrap();
        // Other tests open and close files meanwhile: so many they do not.
        let more: Vec<_> = (0..200).map(|_| fs::File::open("/proc/self/statm").unwrap()).collect();
        assert!(open_files().unwrap() > before + 100, "{before} and {} more", more.len());
        assert!(most_files().unwrap() > before);
        let began = SystemTime::UNIX_EPOCH + Duration::from_secs(started().unwrap());
        assert!(began <= SystemTime::now() + Duration::from_secs(2), "it has begun");
        assert!(began > SystemTime::now() - Duration::from_secs(86_400), "not long ago");
    }

    #[test]
    fn all_of_it_is_shown() {
        let registry = prometheus::Registry::new();
        registry.register(Box::new(Process::new().unwrap())).unwrap();
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for name in ["resident_memory_bytes", "open_fds", "max_fds", "start_time_seconds"] {
            assert!(text.contains(&format!("\nprocess_{name} ")), "{name} is not in\n{text}");
        }
    }
}
