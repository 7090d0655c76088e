//! What every request counts in. Threads have parts of their own, in cache lines of their own, which cores
//! need not pass on to each other.

use std::cell::Cell;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::available_parallelism;

use prometheus::core::{Atomic, Collector, Desc};
use prometheus::proto::{Bucket, Metric, MetricFamily};
use prometheus::{HistogramOpts, HistogramVec};

/// More threads than that share parts.
const MAX_PARTS: usize = 16;

static PARTS: LazyLock<usize> =
    LazyLock::new(|| available_parallelism().map_or(1, usize::from).next_power_of_two().min(MAX_PARTS));
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static THREAD: Cell<Option<usize>> = const { Cell::new(None) };
}

/// This thread's one of `parts`, of which there are a power of two.
fn own<T>(parts: &[T]) -> &T {
    let thread = THREAD.get().unwrap_or_else(|| {
        let thread = THREADS.fetch_add(1, Ordering::Relaxed);
        THREAD.set(Some(thread));
        thread
    });
    &parts[thread & (parts.len() - 1)]
}

/// A number; the sum of its parts.
#[derive(Debug)]
pub struct Spread(Box<[Part]>);

/// Two lines: processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Part(AtomicU64);

impl Atomic for Spread {
    type T = u64;

    fn new(value: u64) -> Self {
        let spread = Self((0..*PARTS).map(|_| Part::default()).collect());
        spread.set(value);
        spread
    }

    fn set(&self, value: u64) {
        for (at, part) in self.0.iter().enumerate() {
            part.0.store(if at == 0 { value } else { 0 }, Ordering::Relaxed);
        }
    }

    fn get(&self) -> u64 {
        self.0.iter().fold(0, |sum, part| sum.wrapping_add(part.0.load(Ordering::Relaxed)))
    }

    fn inc_by(&self, delta: u64) {
        own(&self.0).0.fetch_add(delta, Ordering::Relaxed);
    }

    fn dec_by(&self, delta: u64) {
        own(&self.0).0.fetch_sub(delta, Ordering::Relaxed);
    }
}

/// Histograms under labels.
#[derive(Clone, Debug)]
pub struct Histograms(Vec<HistogramVec>);

/// A histogram that every request is entered in.
#[derive(Clone, Debug)]
pub struct SpreadHistogram(Vec<prometheus::Histogram>);

impl SpreadHistogram {
    /// Enters an observation.
    pub fn observe(&self, value: f64) {
        own(&self.0).observe(value);
    }
}

impl Histograms {
    pub(super) fn new(opts: &HistogramOpts, labels: &[&str]) -> prometheus::Result<Self> {
        (0..*PARTS).map(|_| HistogramVec::new(opts.clone(), labels)).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn with_label_values(&self, values: &[&str]) -> SpreadHistogram {
        SpreadHistogram(self.0.iter().map(|part| part.with_label_values(values)).collect())
    }

    pub(super) fn reset(&self) {
        self.0.iter().for_each(HistogramVec::reset);
    }
}

impl Collector for Histograms {
    fn desc(&self) -> Vec<&Desc> {
        self.0[0].desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = self.0[0].collect();
        for part in self.0[1..].iter().flat_map(Collector::collect) {
            for family in &mut families {
                for metric in part.get_metric() {
                    let same = |sum: &&mut Metric| sum.get_label() == metric.get_label();
                    match family.mut_metric().iter_mut().find(same) {
                        Some(sum) => add(sum, metric),
                        None => family.mut_metric().push(metric.clone()),
                    }
                }
            }
        }
        families
    }
}

/// Adds one part's histogram to another's, which has the same buckets.
fn add(sum: &mut Metric, part: &Metric) {
    let (part, mut histogram) = (part.get_histogram(), sum.get_histogram().clone());
    let bucket = |(sum, part): (&Bucket, &Bucket)| {
        let mut bucket = sum.clone();
        bucket.set_cumulative_count(sum.cumulative_count() + part.cumulative_count());
        bucket
    };
    let buckets = histogram.get_bucket().iter().zip(part.get_bucket()).map(bucket).collect();
    histogram.set_bucket(buckets);
    histogram.set_sample_count(histogram.get_sample_count() + part.get_sample_count());
    histogram.set_sample_sum(histogram.get_sample_sum() + part.get_sample_sum());
    sum.set_histogram(histogram);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_count_adds_up() {
        let spread = Spread::new(7);
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| (0..1000).for_each(|_| spread.inc_by(3)));
            }
        });
        assert_eq!(spread.get(), 7 + 40 * 3000);
        std::thread::scope(|scope| scope.spawn(|| spread.dec_by(120_000)).join().unwrap());
        assert_eq!(spread.get(), 7);
        spread.set(2);
        assert_eq!(spread.get(), 2);
    }

    #[test]
    fn what_threads_observe_adds_up() {
        let opts = HistogramOpts::new("seconds", "Seconds.").buckets(vec![1.0, 10.0]);
        let histograms = Histograms::new(&opts, &["kind"]).unwrap();
        let [blob, tag] = ["blob", "tag"].map(|kind| histograms.with_label_values(&[kind]));
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| [0.5, 5.0, 50.0].map(|seconds| blob.observe(seconds)));
            }
            scope.spawn(|| tag.observe(5.0));
        });
        let registry = prometheus::Registry::new();
        registry.register(Box::new(histograms.clone())).unwrap();
        let text = || prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for line in [
            r#"seconds_bucket{kind="blob",le="1"} 40"#,
            r#"seconds_bucket{kind="blob",le="10"} 80"#,
            r#"seconds_bucket{kind="blob",le="+Inf"} 120"#,
            r#"seconds_sum{kind="blob"} 2220"#,
            r#"seconds_count{kind="blob"} 120"#,
            r#"seconds_bucket{kind="tag",le="1"} 0"#,
            r#"seconds_count{kind="tag"} 1"#,
        ] {
            assert_eq!(text().lines().filter(|l| *l == line).count(), 1, "{line} in\n{}", text());
        }
        histograms.reset();
        assert!(!text().contains("blob"));
    }
}
