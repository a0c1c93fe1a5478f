//! What so many launches do to a word, without doing them.

/// `x * factor + offset`, wrapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Affine {
    pub(crate) factor: u32,
    pub(crate) offset: u32,
}

impl Affine {
    pub(crate) const IDENTITY: Self = Self {
        factor: 1,
        offset: 0,
    };

    /// What one launch does, as every kernel here has it. The factor is odd, so that no error is ever multiplied away.
    pub(crate) const fn launch(offset: u32) -> Self {
        Self {
            factor: 1_664_525,
            offset,
        }
    }

    pub(crate) fn of(self, x: u32) -> u32 {
        x.wrapping_mul(self.factor).wrapping_add(self.offset)
    }

    /// `self`, and after it `next`.
    pub(crate) fn then(self, next: Self) -> Self {
        Self {
            factor: self.factor.wrapping_mul(next.factor),
            offset: next.of(self.offset),
        }
    }

    /// `self` so many times, by squaring.
    pub(crate) fn times(self, mut count: u64) -> Self {
        let (mut result, mut square) = (Self::IDENTITY, self);
        while count > 0 {
            if count & 1 == 1 {
                result = result.then(square);
            }
            square = square.then(square);
            count >>= 1;
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closed_form_is_that_of_so_many_launches() {
        for count in [0, 1, 2, 3, 262, 1000] {
            let (mut x, step) = (7, Affine::launch(9));
            for _ in 0..count {
                x = step.of(x);
            }
            assert_eq!(step.times(count).of(7), x);
        }
    }
}
