//! What was to be reached, beside what was measured.

/// One goal and its measurement.
struct Goal {
    what: String,
    bound: Bound,
    measured: f64,
}

/// What a measurement is held against.
#[derive(Clone, Copy)]
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

/// The goals that the modes of this run speak of, in their order.
#[derive(Default)]
pub struct Goals(Vec<Goal>);

impl Goals {
    pub fn hold(&mut self, what: impl Into<String>, bound: Bound, measured: f64) {
        self.0.push(Goal { what: what.into(), bound, measured });
    }

    /// Prints them as a table.
    pub fn print(&self) {
        if self.0.is_empty() {
            return;
        }
        println!("\n#### Goals\n");
        println!("| | goal | measured | |");
        println!("|---|---:|---:|---|");
        for Goal { what, bound, measured } in &self.0 {
            let (words, is_met) = match *bound {
                Bound::AtMost(most) => (format!("≤ {most}"), *measured <= most),
                Bound::AtLeast(least) => (format!("≥ {least}"), *measured >= least),
            };
            let met = if is_met { "met" } else { "**missed**" };
            println!("| {what} | {words} | {measured:.2} | {met} |");
        }
    }
}
