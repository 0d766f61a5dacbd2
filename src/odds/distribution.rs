//! The normal distribution, and how sure a mean is.

/// Half the width of a 95 % confidence interval, in standard errors, for a known variance.
pub const Z_95: f64 = 1.959_964;

/// The 97.5 % points of Student's t distribution for 1 to 30 degrees of freedom.
const T_95: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/// As [`Z_95`], where the variance was estimated from so many values less one.
pub fn t_95(freedom: usize) -> f64 {
    match freedom {
        0 => f64::INFINITY,
        1..=30 => T_95[freedom - 1],
        // Cornish and Fisher's first term: right to three digits from 30 on.
        _ => Z_95 + (Z_95.powi(3) + Z_95) / (4.0 * freedom as f64),
    }
}

/// The probability that a standard normal variable is below `x`, with a relative error below 2e-7 in both tails.
pub fn normal_below(x: f64) -> f64 {
    0.5 * complementary_error_function(-x / std::f64::consts::SQRT_2)
}

/// W. H. Press et al., Numerical Recipes, section 6.2: Chebyshev fit, fractional error below 1.2e-7 everywhere.
fn complementary_error_function(x: f64) -> f64 {
    const FIT: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let t = 1.0 / (1.0 + 0.5 * x.abs());
    let polynomial = FIT.iter().rev().fold(0.0, |sum, coefficient| sum * t + coefficient);
    let tail = t * (-x * x + polynomial).exp();
    if x >= 0.0 { tail } else { 2.0 - tail }
}

/// Mean and standard deviation; the latter is 0 for fewer than two values.
pub fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    if values.is_empty() {
        return (0.0, 0.0);
    }
    let mean = values.iter().sum::<f64>() / count;
    if values.len() < 2 {
        return (mean, 0.0);
    }
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_distribution_has_its_known_values_in_both_tails() {
        // M. Abramowitz and I. Stegun, table 26.1 and 26.2.
        for (x, below) in
            [(0.0, 0.5), (1.0, 0.841_344_746), (-1.0, 0.158_655_254), (Z_95, 0.975), (-6.0, 9.865_876e-10)]
        {
            let relative = (normal_below(x) / below - 1.0).abs();
            assert!(relative < 1e-6, "{x}: {}", normal_below(x));
        }
        assert_eq!(normal_below(f64::INFINITY), 1.0);
        assert_eq!(normal_below(f64::NEG_INFINITY), 0.0);
    }

    #[test]
    fn students_t_goes_over_into_the_normal_distribution() {
        assert!((t_95(30) - t_95(31)).abs() < 0.01);
        assert!((t_95(100) - 1.984).abs() < 1e-3);
        assert!((t_95(1_000_000) - Z_95).abs() < 1e-5);
    }

    #[test]
    fn mean_and_deviation_of_few_values() {
        assert_eq!(mean_and_deviation(&[]), (0.0, 0.0));
        assert_eq!(mean_and_deviation(&[3.0]), (3.0, 0.0));
        assert_eq!(mean_and_deviation(&[1.0, 3.0]), (2.0, 2f64.sqrt()));
    }
}
