//! Medians, and what the worst are like.

/// A spread of differences in ns.
#[derive(Clone, Copy)]
pub struct Spread {
    pub count: usize,
    pub median: i64,
    pub p99: i64,
    pub max: i64,
}

impl Spread {
    pub fn of(mut values: Vec<i64>) -> anyhow::Result<Spread> {
        anyhow::ensure!(values.len() >= 100, "only {} packets to be measured came through", values.len());
        values.sort_unstable();
        Ok(Spread {
            count: values.len(),
            median: values[values.len() / 2],
            p99: values[values.len() * 99 / 100],
            max: values[values.len() - 1],
        })
    }

    /// The median of some runs' medians, and of their 99th percentiles; the largest of all.
    pub fn of_runs(runs: &[Spread]) -> Spread {
        Spread {
            count: runs.iter().map(|run| run.count).sum(),
            median: median(runs.iter().map(|run| run.median as f64)) as i64,
            p99: median(runs.iter().map(|run| run.p99 as f64)) as i64,
            max: runs.iter().map(|run| run.max).max().unwrap_or_default(),
        }
    }

    /// As three cells of a table, in µs.
    pub fn cells(self) -> String {
        [self.median, self.p99, self.max].map(|ns| format!("{:.0}", ns as f64 / 1e3)).join(" | ")
    }
}

/// The middle of some numbers, of which there must be one.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
