//! Densities from their Laplace transforms, and the little algebra that needs.

use std::ops::{Add, Div, Mul, Sub};

/// Makes the error of discretisation e^-24, and that of rounding e^12 times the last digit of a double: both 1e-11.
const PRECISION: f64 = 24.0;
/// Terms before the averaging, and partial sums averaged.
const TERMS: usize = 38;
const AVERAGED: usize = 12;

/// A complex number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Complex {
    pub re: f64,
    pub im: f64,
}

impl Complex {
    pub const fn real(re: f64) -> Complex {
        Complex { re, im: 0.0 }
    }
}

impl Add for Complex {
    type Output = Complex;
    fn add(self, other: Complex) -> Complex {
        Complex { re: self.re + other.re, im: self.im + other.im }
    }
}

impl Sub for Complex {
    type Output = Complex;
    fn sub(self, other: Complex) -> Complex {
        Complex { re: self.re - other.re, im: self.im - other.im }
    }
}

impl Mul for Complex {
    type Output = Complex;
    fn mul(self, other: Complex) -> Complex {
        Complex { re: self.re * other.re - self.im * other.im, im: self.re * other.im + self.im * other.re }
    }
}

impl Div for Complex {
    type Output = Complex;
    fn div(self, other: Complex) -> Complex {
        let square = other.re * other.re + other.im * other.im;
        Complex {
            re: (self.re * other.re + self.im * other.im) / square,
            im: (self.im * other.re - self.re * other.im) / square,
        }
    }
}

/// A matrix of two rows and two columns: one for the phase on, one for the phase off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Matrix(pub [[Complex; 2]; 2]);

impl Matrix {
    pub const ZERO: Matrix = Matrix([[Complex::real(0.0); 2]; 2]);

    pub fn real(rows: [[f64; 2]; 2]) -> Matrix {
        Matrix(rows.map(|row| row.map(Complex::real)))
    }

    pub fn diagonal(value: Complex) -> Matrix {
        let zero = Complex::real(0.0);
        Matrix([[value, zero], [zero, value]])
    }

    pub fn scaled(self, by: f64) -> Matrix {
        Matrix(self.0.map(|row| row.map(|cell| cell * Complex::real(by))))
    }

    pub fn inverse(self) -> Matrix {
        let [[a, b], [c, d]] = self.0;
        let determinant = a * d - b * c;
        let minus = |value: Complex| Complex::real(0.0) - value;
        Matrix([[d / determinant, minus(b) / determinant], [minus(c) / determinant, a / determinant]])
    }

    /// A row of weights times this matrix, summed: the transform from a mixture of phases into any.
    pub fn weighted(self, weights: [f64; 2]) -> Complex {
        let row = |index: usize| (self.0[index][0] + self.0[index][1]) * Complex::real(weights[index]);
        row(0) + row(1)
    }

    pub fn power(self, exponent: usize) -> Matrix {
        let (mut power, mut square, mut left) = (Matrix::diagonal(Complex::real(1.0)), self, exponent);
        while left > 0 {
            if left % 2 == 1 {
                power = power * square;
            }
            square = square * square;
            left /= 2;
        }
        power
    }
}

impl Add for Matrix {
    type Output = Matrix;
    fn add(self, other: Matrix) -> Matrix {
        let cell = |row: usize, column: usize| self.0[row][column] + other.0[row][column];
        Matrix([[cell(0, 0), cell(0, 1)], [cell(1, 0), cell(1, 1)]])
    }
}

impl Sub for Matrix {
    type Output = Matrix;
    fn sub(self, other: Matrix) -> Matrix {
        self + other.scaled(-1.0)
    }
}

impl Mul for Matrix {
    type Output = Matrix;
    fn mul(self, other: Matrix) -> Matrix {
        let cell = |row: usize, column: usize| {
            self.0[row][0] * other.0[0][column] + self.0[row][1] * other.0[1][column]
        };
        Matrix([[cell(0, 0), cell(0, 1)], [cell(1, 0), cell(1, 1)]])
    }
}

/// The value at `time` of the function with this Laplace transform, to about 1e-10 of 1/`time`.
///
/// J. Abate and W. Whitt, "Numerical Inversion of Laplace Transforms of Probability Distributions" (1995), algorithm
/// EULER. Good where the function is smooth around `time`.
pub(super) fn inverse(transform: &dyn Fn(Complex) -> Complex, time: f64) -> f64 {
    let at = |term: usize| {
        let s = Complex { re: PRECISION / (2.0 * time), im: std::f64::consts::PI * term as f64 / time };
        transform(s).re * if term.is_multiple_of(2) { 1.0 } else { -1.0 }
    };
    let mut sum = at(0) / 2.0;
    let mut partial = Vec::with_capacity(AVERAGED + 1);
    for term in 1..=TERMS + AVERAGED {
        sum += at(term);
        if term >= TERMS {
            partial.push(sum);
        }
    }
    // Weighted with the binomial distribution: each round averages neighbours.
    while partial.len() > 1 {
        partial = partial.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).collect();
    }
    (PRECISION / 2.0).exp() / time * partial[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_density_comes_back() {
        for (rate, time) in [(1.0, 0.01), (1.0, 1.0), (3.0, 4.0), (0.1, 50.0)] {
            let transform = |s: Complex| Complex::real(rate) / (Complex::real(rate) + s);
            let expected = rate * f64::exp(-rate * time);
            let found = inverse(&transform, time);
            assert!((found - expected).abs() < 1e-9 / time, "{rate} {time}: {found} {expected}");
        }
    }

    #[test]
    fn the_erlang_density_comes_back() {
        // n = 20 at rate 20: its mean is 1.
        for time in [0.5, 1.0, 1.5] {
            let transform = |s: Complex| {
                let one = Complex::real(20.0) / (Complex::real(20.0) + s);
                (0..20).fold(Complex::real(1.0), |product, _| product * one)
            };
            let factorial: f64 = (1..20).map(f64::from).product();
            let expected = 20f64.powi(20) * f64::powi(time, 19) * f64::exp(-20.0 * time) / factorial;
            assert!((inverse(&transform, time) - expected).abs() < 1e-9, "{time}");
        }
    }

    #[test]
    fn a_matrix_times_its_inverse_is_one() {
        let matrix = Matrix::real([[3.0, -1.0], [2.0, 5.0]]);
        let one = matrix * matrix.inverse();
        for (row, column) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let expected = if row == column { 1.0 } else { 0.0 };
            assert!((one.0[row][column].re - expected).abs() < 1e-12);
        }
        assert_eq!(matrix.power(3), matrix * matrix * matrix);
    }
}
